//! What both directions of `podman cp` share; the directions stand in `copy_in` and `copy_out`, tar streams in `tar`.
//!
//! `podman cp` between two paths of one container hangs on every version. That cannot happen here: one side is always an
//! absolute path of the host, or `-`.

pub(crate) mod copy_in;
pub(crate) mod copy_out;
pub(crate) mod glob;
pub(crate) mod host_path;
pub(crate) mod symlink_alias;
pub(crate) mod tar;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use rt_protocol::{ContainerPath, Error, ErrorKind, Result, Until};

use crate::cli::answer::Verdict;
use crate::state::target::Target;

pub(crate) const INTO: &str = "copy into";
pub(crate) const OUT_OF: &str = "copy out of";

/// Where the copies of one request go on: the container, as podman is told it, and until when.
pub(crate) struct Copier<'a> {
    pub(crate) container: &'a Target,
    pub(crate) target: String,
    pub(crate) until: &'a Until,
}

/// What one copy came to; the outer result is whether podman could be asked.
pub(crate) type Copied = Result<Verdict<()>>;

impl Copier<'_> {
    /// Copies into the container.
    pub(crate) fn copy_in(&self, source: &OsStr, dest: &Path) -> Copied {
        self.copy(INTO, source.to_owned(), place(&self.target, dest))
    }

    /// Copies out of the container.
    pub(crate) fn copy_out(&self, source: &Path, dest: &OsStr) -> Copied {
        self.copy(OUT_OF, place(&self.target, source), dest.to_owned())
    }

    fn copy(&self, operation: &'static str, source: OsString, dest: OsString) -> Copied {
        let args = [OsString::from("cp"), OsString::from("--"), source, dest];
        // A copy that is whole says nothing.
        let answer = self.container.engine().ask_until(operation, self.until, args)?;
        Ok(answer.told()?.map(drop))
    }
}

/// `CONTAINER:PATH`; what follows the first colon is the path, colons included.
pub(crate) fn place(target: &str, path: &Path) -> OsString {
    let mut place = OsString::from(format!("{target}:"));
    place.push(path);
    place
}

/// The path with `/.` behind it.
pub(crate) fn contents_of(path: &Path) -> PathBuf {
    path.join(".")
}

/// The path as podman can be told it. podman hands names on as JSON, and bytes that are not UTF-8 become U+FFFD there:
/// the copy succeeds under another name (seen on 4.3.1).
pub(crate) fn container_path<'a>(operation: &'static str, path: &'a ContainerPath) -> Result<&'a Path> {
    if path.as_os_str().to_str().is_some() { Ok(path.as_path()) } else { Err(host_path::not_utf8(operation)) }
}

/// A source in the container as podman must be told it, where there is something to copy.
///
/// podman leaves out what it finds at `dev`, `proc` and `sys`, asked for by name or not, and calls it a success.
pub(crate) fn container_source(path: &ContainerPath) -> Result<PathBuf> {
    let path = container_path(OUT_OF, path)?;
    if is_left_out(path) { Err(left_out()) } else { glob::container_source(OUT_OF, path) }
}

fn is_left_out(path: &Path) -> bool {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => drop(names.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    names.first().is_some_and(|first| ["dev", "proc", "sys"].iter().any(|name| first == name))
}

/// The error for a source of which podman copies nothing.
pub(crate) fn left_out() -> Error {
    let message = "podman copies no device nodes, and nothing of what lies in /dev, /proc and /sys";
    Error::new(ErrorKind::InvalidRequest, OUT_OF, message)
}

/// The error for something of the host that is needed on the way.
pub(crate) fn system(operation: &'static str, message: &'static str, cause: io::Error) -> Error {
    Error::new(ErrorKind::System, operation, message).with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_container_and_the_path_whatever_is_in_it() {
        let path = ContainerPath::new("/a:b c\nd").unwrap();
        let path = container_path(INTO, &path).unwrap();
        assert_eq!(place("web", path), "web:/a:b c\nd");
        assert_eq!(place("web", &contents_of(path)), "web:/a:b c\nd/.");
        assert_eq!(place("web", &contents_of(Path::new("/"))), "web:/.");
    }

    #[test]
    fn what_podman_leaves_out_is_known_by_its_path() {
        for path in ["/dev", "/proc/", "/sys/fs", "//tmp/../dev/./null", "/../proc"] {
            assert!(is_left_out(Path::new(path)), "{path}");
        }
        for path in ["/", "/device", "/srv/dev", "/dev/..", "/dev/../srv/proc"] {
            assert!(!is_left_out(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_name_that_podman_would_change_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let path = ContainerPath::new(OsString::from_vec(b"/\xff".to_vec())).unwrap();
        assert_eq!(container_path(OUT_OF, &path).unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
}
