//! What may be wrong with a spec file, in words and as data.

use std::fmt;
use std::path::PathBuf;

use super::limits::{LARGEST_SPEC_FILE, MOST_SPEC_FILES};
use crate::CdiVersion;

/// Something that keeps an engine from using a spec file, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CdiProblem {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong.
    pub fault: CdiFault,
}

impl fmt::Display for CdiProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.fault)
    }
}

/// What is wrong with a spec file; reads well behind the file's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CdiFault {
    /// The system refused to read it.
    #[error("cannot be read: {reason}; see its permissions")]
    Unreadable {
        /// What the system said.
        reason: String,
    },
    /// It is a directory, a named pipe, or a link to one.
    #[error("is not a regular file")]
    NotAFile,
    /// It is larger than [`LARGEST_SPEC_FILE`].
    #[error("is larger than {} bytes", LARGEST_SPEC_FILE)]
    TooLarge,
    /// The directory holds more than [`MOST_SPEC_FILES`]; the rest was not read.
    #[error("holds more than {} spec files; the rest was not read", MOST_SPEC_FILES)]
    TooManyFiles,
    /// It ends in `.yml`, which no engine reads.
    #[error("is not read by its name; rename it to .yaml")]
    IgnoredName,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It is not YAML (JSON included), or more than is read of one: 32 levels, 200,000 values, 16 MiB of text with all
    /// aliases expanded.
    #[error("line {line}: {reason}")]
    Syntax {
        /// From 1.
        line: usize,
        /// In words.
        reason: String,
    },
    /// It has no content.
    #[error("is empty")]
    Empty,
    /// A field is unknown, missing, or of another type.
    #[error("line {line}: {reason}")]
    Field {
        /// From 1.
        line: usize,
        /// In words.
        reason: String,
    },
    /// No released version of CDI.
    #[error("cdiVersion {version:?} is none of CDI's versions")]
    UnknownVersion {
        /// As written.
        version: String,
    },
    /// The engine does not know this version yet.
    #[error(
        "cdiVersion {version} is newer than {newest}, which is as far as this engine goes; write an older spec"
    )]
    TooNew {
        /// The file's.
        version: CdiVersion,
        /// The engine's.
        newest: CdiVersion,
    },
    /// It uses what its own version does not have.
    #[error("{feature} needs cdiVersion {needs}, and the file says {version}")]
    NeedsVersion {
        /// What is used.
        feature: String,
        /// Since when there is such a thing.
        needs: CdiVersion,
        /// The file's.
        version: CdiVersion,
    },
    /// The kind is not `vendor/class`.
    #[error("{kind:?} is no CDI kind; it is vendor/class, such as nvidia.com/gpu")]
    InvalidKind {
        /// As written.
        kind: String,
    },
    /// A device's name.
    #[error("{name:?} is no name of a CDI device: letters, digits, and `_-.:` between them")]
    InvalidDeviceName {
        /// As written.
        name: String,
    },
    /// A device that adds nothing to a container; its `containerEdits` are missing or empty.
    #[error("device {name:?} has no containerEdits")]
    EmptyDevice {
        /// The device.
        name: String,
    },
    /// One name twice in one file.
    #[error("declares device {name:?} twice")]
    DuplicateDevice {
        /// The device.
        name: String,
    },
    /// There must be one at least.
    #[error("declares no device")]
    NoDevices,
    /// Others in the same directory declare the device too, and an engine takes none of them.
    #[error("device {device} is also declared by {}, so none is used", list(.with))]
    Conflict {
        /// Its qualified name.
        device: String,
        /// The other files.
        with: Vec<PathBuf>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
