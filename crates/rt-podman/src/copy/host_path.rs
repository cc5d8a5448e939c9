//! Host paths in podman's words, and directories that are created for a copy.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rt_protocol::{Error, ErrorKind, Result, Until};

use super::glob;

/// A source on the host.
#[derive(Debug)]
pub(crate) struct HostSource {
    /// The given path made absolute, so that `-`, `-x` and `name:path` are files; UTF-8.
    pub(crate) path: PathBuf,
    /// The path without symbolic links.
    pub(crate) real: PathBuf,
    /// Whether it is a directory.
    pub(crate) is_directory: bool,
    /// Whether podman reads the path literally: not as a pattern, and without its own reading of a
    /// link.
    pub(crate) is_plain: bool,
}

impl HostSource {
    /// Looks up the source.
    pub(crate) fn find(src: &Path) -> Result<Self> {
        const OPERATION: &str = "copy into";
        let missing = |cause: io::Error| {
            let message = format!("the source {} cannot be read", src.display());
            Error::new(kind_of(&cause), OPERATION, message).with_source(cause)
        };
        let kind = fs::metadata(src).map_err(missing)?.file_type();
        if kind.is_socket() {
            return Err(Error::new(ErrorKind::InvalidRequest, OPERATION, "a socket cannot be copied"));
        }
        let path = std::path::absolute(src).map_err(missing)?;
        let real = fs::canonicalize(src).map_err(missing)?;
        // podman resolves a link's target without resolving the links before it, so `..` would lead
        // elsewhere.
        let is_plain = glob::is_plain(&path) && !path.is_symlink();
        Ok(Self { path: utf8(OPERATION, path)?.into(), real, is_directory: kind.is_dir(), is_plain })
    }
}

/// Returns the destination in podman's words: absolute, for the same reason.
pub(crate) fn destination_word(dest: &Path) -> Result<OsString> {
    const OPERATION: &str = "copy out of";
    let word = std::path::absolute(dest).map_err(|cause| {
        let message = format!("the destination {} cannot be used", dest.display());
        Error::new(ErrorKind::InvalidRequest, OPERATION, message).with_source(cause)
    })?;
    utf8(OPERATION, word)
}

/// Returns whether a file below the directory has more than one name; `true` if that cannot be
/// seen, or not in time.
pub(crate) fn has_hard_links(directory: &Path, until: &Until) -> bool {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let (Ok(entries), Ok(())) = (fs::read_dir(directory), until.check()) else { return true };
        for entry in entries {
            // Of the entry itself, not of its target.
            let Ok((path, found)) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))) else {
                return true;
            };
            if found.is_dir() {
                directories.push(path);
            } else if found.is_file() && found.nlink() > 1 {
                return true;
            }
        }
    }
    false
}

fn utf8(operation: &'static str, path: PathBuf) -> Result<OsString> {
    let word = path.into_os_string();
    if word.to_str().is_some() { Ok(word) } else { Err(not_utf8(operation)) }
}

/// Builds the error for a path that podman would change.
pub(crate) fn not_utf8(operation: &'static str) -> Error {
    Error::new(ErrorKind::InvalidRequest, operation, "podman takes only paths that are UTF-8")
}

/// Returns the kind of an error about a path.
pub(crate) fn kind_of(cause: &io::Error) -> ErrorKind {
    if cause.kind() == io::ErrorKind::NotFound { ErrorKind::NoSuchPath } else { ErrorKind::System }
}

/// Directories of the host that were created for a copy. Dropping it removes them, unless they are
/// kept or not empty.
#[derive(Debug)]
pub(crate) struct MadeDirectories(Vec<PathBuf>);

impl MadeDirectories {
    /// No directory.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Creates the missing parents of `path`.
    pub(crate) fn above(path: &Path) -> Result<Self> {
        let mut made = Self::none();
        let parents: Vec<_> = path.ancestors().skip(1).take_while(|parent| !parent.exists()).collect();
        for parent in parents.into_iter().rev() {
            match fs::create_dir(parent) {
                Ok(()) => made.0.push(parent.to_owned()),
                // Another process created it first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && parent.is_dir() => {}
                Err(cause) => {
                    let message = format!("the directory {} cannot be made", parent.display());
                    return Err(Error::new(ErrorKind::System, "copy out of", message).with_source(cause));
                }
            }
        }
        Ok(made)
    }

    /// Keeps them.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for MadeDirectories {
    fn drop(&mut self) {
        // A directory that is no longer empty stays.
        self.0.iter().rev().all(|directory| fs::remove_dir(directory).is_ok());
    }
}

/// A directory of the host that only this user can enter. Dropping it removes it with its contents.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// Creates a directory in `parent`.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..100 {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("rt-podman-{}-{number}", std::process::id()));
            // Fails if anything with that name exists, including another user's link.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary directory stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> TemporaryDirectory {
        TemporaryDirectory::new(&std::env::temp_dir()).unwrap()
    }

    #[test]
    fn no_source_looks_like_an_option_or_another_container() {
        let directory = temporary();
        for name in ["-", "-x", "a:b", "a b\nc"] {
            let file = directory.0.join(name);
            fs::write(&file, "").unwrap();
            let source = HostSource::find(&file).unwrap();
            assert!(source.path.is_absolute() && source.path.ends_with(name), "{source:?}");
            assert!(!source.is_directory);
            fs::remove_file(file).unwrap();
        }
        assert!(HostSource::find(&directory.0).unwrap().is_directory);
        assert_eq!(HostSource::find(&directory.0.join("absent")).unwrap_err().kind(), ErrorKind::NoSuchPath);
    }

    #[test]
    fn what_podman_would_read_otherwise_is_known() {
        let directory = temporary();
        let is_plain = |name: &str| HostSource::find(&directory.0.join(name)).unwrap().is_plain;
        for name in ["a b", "w[1]", "back\\slash"] {
            fs::create_dir(directory.0.join(name)).unwrap();
            fs::write(directory.0.join(name).join("f"), "").unwrap();
        }
        std::os::unix::fs::symlink("a b", directory.0.join("link")).unwrap();
        assert!(is_plain("a b") && is_plain("a b/f") && is_plain("link/f"));
        assert!(!is_plain("link") && !is_plain("w[1]") && !is_plain("w[1]/f") && !is_plain("back\\slash"));
        let has_hard_links = |directory: &Path| has_hard_links(directory, &Until::forever());
        assert!(!has_hard_links(&directory.0));
        fs::hard_link(directory.0.join("a b/f"), directory.0.join("w[1]/g")).unwrap();
        assert!(has_hard_links(&directory.0) && has_hard_links(&directory.0.join("no such directory")));
    }

    #[test]
    fn no_destination_looks_like_an_option_or_a_container() {
        for name in ["-", "-x", "a:b", "a b\nc", "web:/etc"] {
            let word = destination_word(Path::new(name)).unwrap().into_string().unwrap();
            assert!(word.starts_with('/') && word.ends_with(name), "{word}");
        }
        assert_eq!(destination_word(Path::new("")).unwrap_err().kind(), ErrorKind::InvalidRequest);
    }

    #[test]
    fn directories_that_were_made_go_again_unless_they_are_kept() {
        let directory = temporary();
        let far = directory.0.join("a/b/c/file");
        drop(MadeDirectories::above(&far).unwrap());
        assert!(!directory.0.join("a").exists());
        let made = MadeDirectories::above(&far).unwrap();
        fs::write(directory.0.join("a/note"), "").unwrap();
        drop(made);
        assert!(directory.0.join("a").exists() && !directory.0.join("a/b").exists());
        MadeDirectories::above(&far).unwrap().keep();
        assert!(directory.0.join("a/b/c").is_dir() && !far.exists());
        fs::remove_file(directory.0.join("a/note")).unwrap();
    }

    #[test]
    fn a_temporary_directory_goes_with_what_is_in_it() {
        let directory = temporary();
        let path = directory.0.clone();
        fs::write(path.join("left"), "").unwrap();
        drop(directory);
        assert!(!path.exists());
    }
}
