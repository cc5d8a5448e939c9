//! What both directions of `podman cp` share. The directions are in `copy_in` and `copy_out`, tar
//! streams in `tar`.
//!
//! `podman cp` between two paths of one container hangs on every version. That cannot happen here:
//! one side is always an absolute path of the host, or `-`.

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

/// The target of one request's copies: the container, in podman's words, and the limit.
pub(crate) struct Copier<'a> {
    pub(crate) container: &'a Target,
    pub(crate) target: String,
    pub(crate) until: &'a Until,
}

/// The result of one copy; the outer result is whether podman could be called.
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
        // A complete copy prints nothing.
        let answer = self.container.engine().ask_until(operation, self.until, args)?;
        Ok(answer.told()?.map(drop))
    }
}

/// Returns `CONTAINER:PATH`; what follows the first colon is the path, colons included.
pub(crate) fn place(target: &str, path: &Path) -> OsString {
    let mut place = OsString::from(format!("{target}:"));
    place.push(path);
    place
}

/// Appends `/.` to the path.
pub(crate) fn contents_of(path: &Path) -> PathBuf {
    path.join(".")
}

/// Returns the path if podman accepts it. podman passes names on as JSON, and bytes that are not
/// UTF-8 become U+FFFD: the copy would succeed under another name (seen on 4.3.1).
pub(crate) fn container_path<'a>(operation: &'static str, path: &'a ContainerPath) -> Result<&'a Path> {
    if path.as_os_str().to_str().is_some() { Ok(path.as_path()) } else { Err(host_path::not_utf8(operation)) }
}

/// Returns the source in the container in podman's words, if podman copies anything from it.
///
/// podman leaves out `dev`, `proc` and `sys`, even if requested by name, and reports success.
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

/// Builds the error for a source of which podman copies nothing.
pub(crate) fn left_out() -> Error {
    let message = "podman copies no device nodes, and nothing of what lies in /dev, /proc and /sys";
    Error::new(ErrorKind::InvalidRequest, OUT_OF, message)
}

/// Builds the error for something on the host that the copy needs.
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
