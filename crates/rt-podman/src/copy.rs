//! Copying with `podman cp`, by files and by tar streams; how podman must be told a place of the host stands in
//! `host_path`.
//!
//! `podman cp` between two paths of one container hangs on every version. That cannot happen here: one side is always an
//! absolute path of the host, or `-`.

use std::ffi::OsString;
use std::path::Path;

use rt_protocol::{ContainerPath, CopyOptions, Error, ErrorKind, Result, Until};

use crate::container::PodmanContainer;
use crate::failure::Failure;
use crate::host_path::{self, MadeDirectories, TemporaryDirectory};

const INTO: &str = "copy into";
const OUT_OF: &str = "copy out of";

/// Copies a file, or the contents of a directory, into the container.
pub(crate) fn copy_in(
    container: &PodmanContainer,
    src: &Path,
    dest: &ContainerPath,
    options: CopyOptions,
    until: &Until,
) -> Result<()> {
    let about = |error: Error| error.in_container(container.name());
    let source = host_path::source_word(src).map_err(about)?;
    let dest_path = container_path(INTO, dest).map_err(about)?;
    let target = container.target(until)?;
    let copy =
        |source: &OsString, dest: &Path| podman_cp(container, INTO, source, &place(&target, dest), until);
    match copy(&source, dest_path)? {
        Ok(()) => Ok(()),
        Err(refused) if options.create_parents && refused.failure == Failure::NoSuchPath => {
            let parent = dest_path.parent().unwrap_or(Path::new("/"));
            let empty = TemporaryDirectory::new(&std::env::temp_dir()).map_err(|cause| {
                about(
                    Error::new(ErrorKind::System, INTO, "no temporary directory can be made")
                        .with_source(cause),
                )
            })?;
            make_directory(&copy, &empty.path().join(".").into_os_string(), parent).map_err(about)?;
            copy(&source, dest_path)?.map_err(|refused| about(refused.into_error(INTO)))
        }
        Err(refused) => Err(about(refused.into_error(INTO))),
    }
}

/// Copies a file, or the contents of a directory, out of the container.
///
/// Where the destination is a directory, podman is given the source with `/.` behind it: it then copies a directory by its
/// contents, and takes a file all the same (seen on 4.3.1 and 5.4.2), so nobody needs to know beforehand which one it is.
/// Where nothing is there, podman makes the destination from a file or a directory alike, and with `/.` it would put a
/// file beside it, under the file's own name.
pub(crate) fn copy_out(
    container: &PodmanContainer,
    src: &ContainerPath,
    dest: &Path,
    options: CopyOptions,
    until: &Until,
) -> Result<()> {
    let about = |error: Error| error.in_container(container.name());
    let source = container_path(OUT_OF, src).map_err(about)?;
    let word = host_path::destination_word(dest).map_err(about)?;
    let target = container.target(until)?;
    until.check().map_err(|stop| about(Error::stopped(stop, OUT_OF)))?;
    let made = if options.create_parents {
        MadeDirectories::above(Path::new(&word)).map_err(about)?
    } else {
        MadeDirectories::none()
    };
    let source = if dest.is_dir() { contents_of(source) } else { source.to_owned() };
    podman_cp(container, OUT_OF, &place(&target, &source), &word, until)?
        .map_err(|refused| about(refused.into_error(OUT_OF)))?;
    made.keep();
    Ok(())
}

/// What podman says of a copy that it refused.
struct Refused {
    failure: Failure,
    stderr: String,
}

impl Refused {
    fn into_error(self, operation: &'static str) -> Error {
        self.failure.error(operation, &self.stderr)
    }
}

/// What one copy came to; the outer result is whether podman could be asked.
type Copied = Result<std::result::Result<(), Refused>>;

fn podman_cp(
    container: &PodmanContainer,
    operation: &'static str,
    source: &OsString,
    dest: &OsString,
    until: &Until,
) -> Copied {
    let args = [OsString::from("cp"), OsString::from("--"), source.clone(), dest.clone()];
    let answer = container
        .engine()
        .ask_until(operation, until, args)
        .map_err(|error| error.in_container(container.name()))?;
    Ok(if answer.ok() { Ok(()) } else { Err(Refused { failure: answer.failure(), stderr: answer.stderr }) })
}

/// `CONTAINER:PATH`; what follows the first colon is the path, colons included.
pub(crate) fn place(target: &str, path: &Path) -> OsString {
    let mut place = OsString::from(format!("{target}:"));
    place.push(path);
    place
}

/// The path with `/.` behind it.
pub(crate) fn contents_of(path: &Path) -> std::path::PathBuf {
    path.join(".")
}

/// The path as podman can be told it. podman hands names on as JSON, and bytes that are not UTF-8 become U+FFFD there:
/// the copy succeeds under another name (seen on 4.3.1).
pub(crate) fn container_path<'a>(operation: &'static str, path: &'a ContainerPath) -> Result<&'a Path> {
    if path.as_os_str().to_str().is_some() { Ok(path.as_path()) } else { Err(host_path::not_utf8(operation)) }
}

/// Makes `directory`, and what is missing above it, by copying nothing into it. What exists is never touched: a
/// directory is only made after podman has said that something below it has no place.
fn make_directory(
    copy: &dyn Fn(&OsString, &Path) -> Copied,
    nothing: &OsString,
    directory: &Path,
) -> Result<()> {
    match copy(nothing, directory)? {
        Ok(()) => Ok(()),
        Err(refused) => match directory.parent() {
            Some(parent) if refused.failure == Failure::NoSuchPath && parent != Path::new("/") => {
                make_directory(copy, nothing, parent)?;
                copy(nothing, directory)?.map_err(|refused| refused.into_error(INTO))
            }
            _ => Err(refused.into_error(INTO)),
        },
    }
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
    fn a_name_that_podman_would_change_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let path = ContainerPath::new(OsString::from_vec(b"/\xff".to_vec())).unwrap();
        assert_eq!(container_path(OUT_OF, &path).unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
}
