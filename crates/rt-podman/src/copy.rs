//! Copying into a container with `podman cp`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rt_protocol::{ContainerPath, CopyOptions, Error, ErrorKind, Result, Until};

use crate::container::PodmanContainer;
use crate::failure::Failure;

const OPERATION: &str = "copy into";

/// Copies a file, or the contents of a directory.
pub(crate) fn copy_in(
    container: &PodmanContainer,
    src: &Path,
    dest: &ContainerPath,
    options: CopyOptions,
    until: &Until,
) -> Result<()> {
    let about = |error: Error| error.in_container(container.name());
    let source = source_word(src).map_err(about)?;
    let target = container.target()?;
    let copy = |source: &OsString, dest: &Path| podman_cp(container, &target, source, dest, until);
    match copy(&source, dest.as_path())? {
        Ok(()) => Ok(()),
        Err(refused) if options.create_parents && refused.failure == Failure::NoSuchPath => {
            let parent = dest.as_path().parent().unwrap_or(Path::new("/"));
            let empty = EmptyDirectory::new().map_err(|cause| {
                about(
                    Error::new(ErrorKind::System, OPERATION, "no temporary directory can be made")
                        .with_source(cause),
                )
            })?;
            make_directory(&copy, &empty.contents(), parent).map_err(about)?;
            copy(&source, dest.as_path())?.map_err(|refused| about(refused.into_error()))
        }
        Err(refused) => Err(about(refused.into_error())),
    }
}

/// What podman says of a copy that it refused.
struct Refused {
    failure: Failure,
    stderr: String,
}

impl Refused {
    fn into_error(self) -> Error {
        self.failure.error(OPERATION, &self.stderr)
    }
}

/// What one copy came to; the outer result is whether podman could be asked.
type Copied = Result<std::result::Result<(), Refused>>;

fn podman_cp(
    container: &PodmanContainer,
    target: &str,
    source: &OsString,
    dest: &Path,
    until: &Until,
) -> Copied {
    let mut place = OsString::from(format!("{target}:"));
    place.push(dest);
    let args = [OsString::from("cp"), OsString::from("--"), source.clone(), place];
    let answer = container
        .engine()
        .ask_until(OPERATION, until, args)
        .map_err(|error| error.in_container(container.name()))?;
    Ok(if answer.ok() { Ok(()) } else { Err(Refused { failure: answer.failure(), stderr: answer.stderr }) })
}

/// The source as podman must be told it: absolute, so that `-`, `-x` and `name:path` are files; a directory with `/.`
/// behind it, so that its contents are copied and what is at the destination stays.
fn source_word(src: &Path) -> Result<OsString> {
    let missing = |cause: io::Error| {
        let kind =
            if cause.kind() == io::ErrorKind::NotFound { ErrorKind::NoSuchPath } else { ErrorKind::System };
        Error::new(kind, OPERATION, format!("the source {} cannot be read", src.display())).with_source(cause)
    };
    let is_directory = fs::metadata(src).map_err(missing)?.is_dir();
    let mut word = std::path::absolute(src).map_err(missing)?;
    if is_directory {
        word.push(".");
    }
    let word = word.into_os_string();
    if word.to_str().is_none() {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            OPERATION,
            "podman takes only paths that are UTF-8",
        ));
    }
    Ok(word)
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
                copy(nothing, directory)?.map_err(Refused::into_error)
            }
            _ => Err(refused.into_error()),
        },
    }
}

/// An empty directory of the host, gone when dropped.
struct EmptyDirectory(PathBuf);

impl EmptyDirectory {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..100 {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("rt-podman-empty-{}-{number}", std::process::id()));
            // Fails when anything of that name is there, a link of somebody else's included.
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn contents(&self) -> OsString {
        self.0.join(".").into_os_string()
    }
}

impl Drop for EmptyDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary directory stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_source_looks_like_an_option_or_another_container() {
        let directory = EmptyDirectory::new().unwrap();
        for name in ["-", "-x", "a:b", "a b\nc"] {
            let file = directory.0.join(name);
            fs::write(&file, "").unwrap();
            let word = source_word(&file).unwrap().into_string().unwrap();
            assert!(word.starts_with('/') && word.ends_with(name), "{word}");
            fs::remove_file(file).unwrap();
        }
        let word = source_word(&directory.0).unwrap().into_string().unwrap();
        assert!(word.ends_with("/."), "{word}");
        assert_eq!(source_word(&directory.0.join("absent")).unwrap_err().kind(), ErrorKind::NoSuchPath);
    }
}
