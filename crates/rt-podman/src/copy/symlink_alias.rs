//! A symbolic link in its own directory that stands for a source on the host. podman follows it,
//! and it has the name that podman is to use.
//!
//! podman first looks up the source literally, then reads the same word as a pattern. A path that
//! we choose means the same in both. podman names the copy after the link before it renames it to
//! the destination's name. Of hard links it renames only one end (4.3.1 and 5.4.2), so a link with
//! the destination's name makes both ends agree.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::glob;
use super::host_path::TemporaryDirectory;

/// A link to a source. Dropping it removes the link.
#[derive(Debug)]
pub(crate) struct SymlinkAlias {
    /// The word for podman.
    word: PathBuf,
    _directory: TemporaryDirectory,
}

impl SymlinkAlias {
    /// Creates a link to `source`, which is canonical, that podman calls `name`.
    pub(crate) fn new(source: &Path, name: &OsStr) -> io::Result<Self> {
        let directory = plain_directory()?;
        symlink(source, directory.path().join(name))?;
        let pattern = glob::escaped(&name.to_string_lossy());
        let word = directory.path().join(&pattern);
        if !glob::is_plain(Path::new(name)) {
            // Taken literally, the word is the second link; as a pattern, it matches only the
            // first.
            symlink(source, &word)?;
        }
        Ok(Self { word, _directory: directory })
    }

    /// Returns the source itself in podman's words.
    pub(crate) fn word(&self) -> &OsStr {
        self.word.as_os_str()
    }

    /// Returns the contents of the source, a directory, in podman's words.
    pub(crate) fn contents(&self) -> OsString {
        self.word.join(".").into_os_string()
    }
}

/// An empty directory with the usual permissions of a new one. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct EmptyDirectory {
    contents: OsString,
    _directory: TemporaryDirectory,
}

impl EmptyDirectory {
    /// Creates one.
    pub(crate) fn new() -> io::Result<Self> {
        let directory = plain_directory()?;
        let empty = directory.path().join("empty");
        DirBuilder::new().create(&empty)?;
        // Whatever the umask is: podman copies the mode.
        fs::set_permissions(&empty, Permissions::from_mode(0o755))?;
        Ok(Self { contents: empty.join(".").into_os_string(), _directory: directory })
    }

    /// Returns its (empty) contents in podman's words.
    pub(crate) fn contents(&self) -> &OsStr {
        &self.contents
    }
}

/// Creates a directory whose path podman reads literally.
fn plain_directory() -> io::Result<TemporaryDirectory> {
    let usual = std::env::temp_dir();
    // It comes from the environment, and may itself look like a pattern.
    let told = usual.is_absolute() && usual.to_str().is_some() && glob::is_plain(&usual);
    TemporaryDirectory::new(if told { &usual } else { Path::new("/tmp") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_the_name_it_is_given_and_goes() {
        let source = EmptyDirectory::new().unwrap();
        let source = Path::new(source.contents());
        for (name, word) in [("a b", "a b"), ("w[1]", "w\\[1]"), ("*", "\\*"), ("-", "-")] {
            let symlink_alias = SymlinkAlias::new(source, name.as_ref()).unwrap();
            let word = Path::new(symlink_alias.word()).with_file_name(word);
            assert_eq!(word, symlink_alias.word());
            assert_eq!(fs::read_link(word.with_file_name(name)).unwrap(), source);
            assert!(Path::new(&symlink_alias.contents()).is_dir());
            drop(symlink_alias);
            assert!(!word.parent().unwrap().exists());
        }
    }

    #[test]
    fn an_empty_directory_is_open_to_all() {
        let empty = EmptyDirectory::new().unwrap();
        let path = Path::new(empty.contents());
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }
}
