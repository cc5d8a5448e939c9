//! A symbolic link in a directory of its own that stands for a source of the host: podman follows it, and it has the name
//! that podman is to work with.
//!
//! podman first asks the system for the source to the letter, then reads the same word as a pattern. A path of our own
//! choice is the same to both. The name of the link is what podman calls the copy, before it renames it to what the
//! destination is called; of hard links it renames only the one end (4.3.1 and 5.4.2), so with a link that has the
//! destination's name already, both ends agree.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::glob;
use super::host_path::TemporaryDirectory;

/// A link to a source, gone when dropped.
#[derive(Debug)]
pub(crate) struct SymlinkAlias {
    /// What podman is told.
    word: PathBuf,
    _directory: TemporaryDirectory,
}

impl SymlinkAlias {
    /// A link to `source`, which is canonical, that podman calls `name`.
    pub(crate) fn new(source: &Path, name: &OsStr) -> io::Result<Self> {
        let directory = plain_directory()?;
        symlink(source, directory.path().join(name))?;
        let pattern = glob::escaped(&name.to_string_lossy());
        let word = directory.path().join(&pattern);
        if !glob::is_plain(Path::new(name)) {
            // The word is the second link when it is taken to the letter, and the first, alone, as a pattern.
            symlink(source, &word)?;
        }
        Ok(Self { word, _directory: directory })
    }

    /// The source itself, as podman must be told it.
    pub(crate) fn word(&self) -> &OsStr {
        self.word.as_os_str()
    }

    /// The contents of the source, which is a directory.
    pub(crate) fn contents(&self) -> OsString {
        self.word.join(".").into_os_string()
    }
}

/// An empty directory, with the permissions that a new one commonly has; gone when dropped.
#[derive(Debug)]
pub(crate) struct EmptyDirectory {
    contents: OsString,
    _directory: TemporaryDirectory,
}

impl EmptyDirectory {
    /// A new one.
    pub(crate) fn new() -> io::Result<Self> {
        let directory = plain_directory()?;
        let empty = directory.path().join("empty");
        DirBuilder::new().create(&empty)?;
        // Whatever the umask is: podman hands it on.
        fs::set_permissions(&empty, Permissions::from_mode(0o755))?;
        Ok(Self { contents: empty.join(".").into_os_string(), _directory: directory })
    }

    /// Its contents, which are none, as podman must be told them.
    pub(crate) fn contents(&self) -> &OsStr {
        &self.contents
    }
}

/// A directory that podman can be told.
fn plain_directory() -> io::Result<TemporaryDirectory> {
    let usual = std::env::temp_dir();
    // It comes from the environment, and may look like a pattern itself.
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
