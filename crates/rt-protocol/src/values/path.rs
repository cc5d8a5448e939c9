//! A path inside a container.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{InvalidValue, text_conversions};

/// An absolute path inside a container, without NUL bytes.
///
/// A relative path would mean another file on each backend: podman resolves it from the container's
/// workdir, an SSH login from the user's home. Colons, spaces and newlines are ordinary characters.
/// A path is bytes and not text, so it implements `AsRef<Path>`, and [`Display`](fmt::Display) is
/// for people.
///
/// ```
/// use rt_protocol::ContainerPath;
///
/// assert!(ContainerPath::new("/srv/a b:c").is_ok());
/// assert!(ContainerPath::new("srv").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerPath(PathBuf);

impl ContainerPath {
    /// Checks the path. It is not changed.
    ///
    /// # Errors
    /// A path that does not begin with `/`, or has a NUL byte.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, InvalidValue> {
        let path = path.into();
        let bytes = path.as_os_str().as_bytes();
        if bytes.first() != Some(&b'/') {
            Err(InvalidValue::new("container path", path, "it must be absolute"))
        } else if bytes.contains(&0) {
            Err(InvalidValue::new("container path", path, "it contains a NUL byte"))
        } else {
            Ok(Self(path))
        }
    }

    /// Returns the path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of an entry of this directory.
    ///
    /// # Errors
    /// A name that is empty or contains `/` or a NUL byte.
    pub fn join(&self, name: impl AsRef<OsStr>) -> Result<Self, InvalidValue> {
        let name = name.as_ref();
        if name.is_empty() || name.as_bytes().contains(&b'/') {
            return Err(InvalidValue::new("file name", name, "it must be one name"));
        }
        Self::new(self.0.join(name))
    }

    /// Returns whether it can only mean a directory: it ends with `/`, `.` or `..`.
    pub fn names_directory(&self) -> bool {
        let last = self.0.as_os_str().as_bytes().rsplit(|byte| *byte == b'/').next();
        matches!(last, None | Some(b"" | b"." | b".."))
    }

    /// Returns the path.
    pub fn as_os_str(&self) -> &OsStr {
        self.0.as_os_str()
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl AsRef<Path> for ContainerPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<OsStr> for ContainerPath {
    fn as_ref(&self) -> &OsStr {
        self.as_os_str()
    }
}

impl FromStr for ContainerPath {
    type Err = InvalidValue;

    fn from_str(path: &str) -> Result<Self, InvalidValue> {
        Self::new(path)
    }
}

impl TryFrom<PathBuf> for ContainerPath {
    type Error = InvalidValue;

    fn try_from(path: PathBuf) -> Result<Self, InvalidValue> {
        Self::new(path)
    }
}

text_conversions!(ContainerPath);

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_is_one_name_and_some_paths_name_directories() {
        let path = |text: &str| ContainerPath::new(text).unwrap();
        assert_eq!(path("/a").join("..b").unwrap(), path("/a/..b"));
        assert!(["", "b/c", "/b", "\0"].into_iter().all(|name| path("/a").join(name).is_err()));
        assert!(["/", "/a/", "/a/.", "/..", "//"].into_iter().all(|text| path(text).names_directory()));
        assert!(["/a", "/a/...", "/.a", "/a b"].into_iter().all(|text| !path(text).names_directory()));
    }

    proptest! {
        #[test]
        fn accepted_exactly_when_absolute_and_without_nul(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let path = OsString::from_vec(bytes.clone());
            prop_assert_eq!(ContainerPath::new(path).is_ok(), bytes.first() == Some(&b'/') && !bytes.contains(&0));
        }

        /// Of random bytes, hardly any begin with a slash: here all do.
        #[test]
        fn a_good_path_is_accepted_until_a_nul_is_in_it(
            bytes in proptest::collection::vec(1u8.., 0..16), place in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = [b"/", bytes.as_slice()].concat();
            let path = ContainerPath::new(OsString::from_vec(bytes.clone())).unwrap();
            prop_assert_eq!(path.as_os_str().as_bytes(), bytes.as_slice());
            bytes.insert(1 + place.index(bytes.len()), 0);
            prop_assert!(ContainerPath::new(OsString::from_vec(bytes)).is_err());
        }
    }
}
