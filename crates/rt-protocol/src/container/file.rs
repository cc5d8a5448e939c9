//! Files of a container: how they are written, and what is known about them.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::{Capabilities, Capability, InvalidValue, word_enum};

/// The operations of a container's files, as errors name them.
#[doc(hidden)]
pub mod file_operation {
    pub const WRITE: &str = "write a file in";
    pub const READ: &str = "read a file of";
    pub const STAT: &str = "look up a file of";
    pub const LIST: &str = "list a directory of";
    pub const REMOVE: &str = "remove a file of";
}

/// Options of [`Container::write_file`](crate::Container::write_file).
///
/// ```
/// use rt_protocol::{FileMode, FileOptions};
///
/// let options = FileOptions::new().mode(FileMode::new(0o600)?).parents().atomic();
/// assert!(options.parents && options.atomic && options.owner.is_none());
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct FileOptions {
    /// The permissions. Without them a file that exists keeps its own, and a new one gets `0o644`.
    pub mode: Option<FileMode>,
    /// The owner. Without one a file that exists keeps its own, if the engine tells it, and a new
    /// one belongs to the user that writes: root, or that of the connection to a guest.
    pub owner: Option<FileOwner>,
    /// Whether missing parents are created, with `0o755` and root as their owner.
    pub parents: bool,
    /// Whether the file is replaced as a whole: a reader sees the old or the new contents.
    pub atomic: bool,
}

impl FileOptions {
    /// Returns options with which a missing parent is an error, and a reader may see a part of the
    /// contents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the permissions.
    #[must_use]
    pub fn mode(self, mode: FileMode) -> Self {
        Self { mode: Some(mode), ..self }
    }

    /// Sets the owner.
    #[must_use]
    pub fn owner(self, owner: FileOwner) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// Creates missing parents.
    #[must_use]
    pub fn parents(self) -> Self {
        Self { parents: true, ..self }
    }

    /// Replaces the file as a whole.
    #[must_use]
    pub fn atomic(self) -> Self {
        Self { atomic: true, ..self }
    }

    /// Returns what a backend must support to write with these options.
    pub fn required_capabilities(&self) -> Capabilities {
        Capabilities::needed([(true, Capability::WriteFile), (self.atomic, Capability::AtomicWrite)])
    }
}

/// Permissions of a file: the 12 bits of chmod(2), such as `0o644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u32", into = "u32"))]
pub struct FileMode(u32);

impl FileMode {
    /// Those of a new file: `0o644`.
    pub const DEFAULT: Self = Self(0o644);

    /// Checks the permissions.
    ///
    /// # Errors
    /// Bits beyond `0o7777`.
    pub fn new(bits: u32) -> Result<Self, InvalidValue> {
        if bits > 0o7777 {
            return Err(InvalidValue::new("file mode", format!("0o{bits:o}"), "it has more than 12 bits"));
        }
        Ok(Self(bits))
    }

    /// Returns the permissions of an `st_mode` of stat(2), without the file's type.
    pub fn of_stat(mode: u32) -> Self {
        Self(mode & 0o7777)
    }

    /// Returns the bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for FileMode {
    type Error = InvalidValue;

    fn try_from(bits: u32) -> Result<Self, InvalidValue> {
        Self::new(bits)
    }
}

impl From<FileMode> for u32 {
    fn from(mode: FileMode) -> Self {
        mode.bits()
    }
}

/// Four octal digits: `0644`.
impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// The user and the group that own a file, by their numbers in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "OwnerNumbers", into = "OwnerNumbers"))]
pub struct FileOwner {
    uid: u32,
    gid: u32,
}

impl FileOwner {
    /// Root, `0:0`.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };

    /// Returns the owner with these numbers.
    ///
    /// # Errors
    /// The highest number, which means "unchanged" to chown(2).
    pub fn new(uid: u32, gid: u32) -> Result<Self, InvalidValue> {
        if uid == u32::MAX || gid == u32::MAX {
            return Err(InvalidValue::new("file owner", format!("{uid}:{gid}"), "no user has this number"));
        }
        Ok(Self { uid, gid })
    }

    /// Returns the user.
    pub fn uid(self) -> u32 {
        self.uid
    }

    /// Returns the group.
    pub fn gid(self) -> u32 {
        self.gid
    }
}

/// `UID:GID`.
impl fmt::Display for FileOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// The serialized form of [`FileOwner`].
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnerNumbers {
    uid: u32,
    gid: u32,
}

#[cfg(feature = "serde")]
impl TryFrom<OwnerNumbers> for FileOwner {
    type Error = InvalidValue;

    fn try_from(numbers: OwnerNumbers) -> Result<Self, InvalidValue> {
        Self::new(numbers.uid, numbers.gid)
    }
}

#[cfg(feature = "serde")]
impl From<FileOwner> for OwnerNumbers {
    fn from(owner: FileOwner) -> Self {
        Self { uid: owner.uid, gid: owner.gid }
    }
}

word_enum! {
    /// The type of a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum FileKind: "kind of file" {
        /// A regular file.
        File = "file",
        /// A directory.
        Directory = "directory",
        /// A symbolic link.
        Symlink = "symlink" => "symbolic link",
        /// A named pipe.
        Fifo = "fifo",
        /// A socket.
        Socket = "socket",
        /// A character device.
        CharDevice = "char-device" => "character device",
        /// A block device.
        BlockDevice = "block-device" => "block device",
        /// Another type, or, in a listing, one that the file system does not tell. Ask
        /// [`stat`](crate::Container::stat).
        Other = "other" => "special file",
    }
}

impl FileKind {
    /// Returns the type in an `st_mode` of stat(2).
    pub fn of_stat(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            _ => Self::Other,
        }
    }
}

/// What is known about a file of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct FileInfo {
    /// Its type.
    pub kind: FileKind,
    /// Its size in bytes. Says nothing about a directory or a special file, and little about files
    /// of `/proc`, whose size is 0.
    pub size: u64,
    /// Its permissions.
    pub mode: FileMode,
    /// Its owner; `None` if the engine does not tell.
    #[cfg_attr(feature = "serde", serde(default))]
    pub owner: Option<FileOwner>,
    /// When its contents were last changed, by the clock of the container's machine.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub modified: Option<SystemTime>,
    /// The text of a symbolic link, which need not be a path of anything.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::bytes::optional"))]
    pub link_target: Option<PathBuf>,
}

impl FileInfo {
    /// Returns the state of a file, without its time and target.
    pub fn new(kind: FileKind, size: u64, mode: FileMode, owner: impl Into<Option<FileOwner>>) -> Self {
        Self { kind, size, mode, owner: owner.into(), modified: None, link_target: None }
    }
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DirEntry {
    /// Its name: bytes without `/`, in any encoding.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::bytes"))]
    pub name: OsString,
    /// Its type. That of a symbolic link is [`Symlink`](FileKind::Symlink).
    pub kind: FileKind,
}

impl DirEntry {
    /// Returns an entry.
    pub fn new(name: impl Into<OsString>, kind: FileKind) -> Self {
        Self { name: name.into(), kind }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mode_has_twelve_bits_and_an_owner_has_numbers(bits: u32, uid: u32, gid: u32) {
            prop_assert_eq!(FileMode::new(bits).is_ok(), bits < 1 << 12);
            prop_assert_eq!(FileMode::of_stat(bits).bits(), bits & 0o7777);
            prop_assert!(FileMode::new(FileMode::of_stat(bits).into()).is_ok());
            let owner = FileOwner::new(uid, gid);
            prop_assert_eq!(owner.is_ok(), uid != u32::MAX && gid != u32::MAX);
        }
    }

    #[test]
    fn the_highest_number_owns_nothing() {
        assert!(FileOwner::new(u32::MAX, 0).is_err() && FileOwner::new(0, u32::MAX).is_err());
        assert_eq!(FileOwner::new(1, 2).unwrap().to_string(), "1:2");
        assert_eq!(FileMode::DEFAULT.to_string(), "0644");
    }

    #[test]
    fn options_require_what_they_ask_for() {
        let plain = FileOptions::new().required_capabilities();
        assert!(plain.contains(Capability::WriteFile) && !plain.contains(Capability::AtomicWrite));
        assert!(FileOptions::new().atomic().required_capabilities().contains(Capability::AtomicWrite));
    }
}
