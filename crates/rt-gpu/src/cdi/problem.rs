//! Problems of spec files, as data and as text.

use std::fmt;
use std::path::PathBuf;

use super::limits::{LARGEST_SPEC_FILE, MOST_SPEC_FILES};
use crate::CdiVersion;

/// A problem that keeps an engine from using a spec file, or a part of it.
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

/// What is wrong with a spec file. Its text follows the name of the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CdiFault {
    /// The operating system refused to read it.
    #[error("cannot be read: {reason}; see its permissions")]
    Unreadable {
        /// The error text of the operating system.
        reason: String,
    },
    /// It is not a regular file, but a directory, a named pipe, or a link to one of these.
    #[error("is not a regular file")]
    NotAFile,
    /// It is larger than [`LARGEST_SPEC_FILE`].
    #[error("is larger than {} bytes", LARGEST_SPEC_FILE)]
    TooLarge,
    /// The directory has more than [`MOST_SPEC_FILES`] spec files; the rest was not read.
    #[error("holds more than {} spec files; the rest was not read", MOST_SPEC_FILES)]
    TooManyFiles,
    /// Its name ends in `.yml`, which no engine reads.
    #[error("is not read by its name; rename it to .yaml")]
    IgnoredName,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It is not valid YAML (or JSON), or it exceeds a limit: 32 levels, 200,000 values, 16 MiB of
    /// text, each with all aliases expanded.
    #[error("line {line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It has no content.
    #[error("is empty")]
    Empty,
    /// A field is unknown, missing, or of another type.
    #[error("line {line}: {reason}")]
    Field {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Its `cdiVersion` is not a released version of CDI.
    #[error("cdiVersion {version:?} is none of CDI's versions")]
    UnknownVersion {
        /// The version as written.
        version: String,
    },
    /// Its `cdiVersion` is newer than the engine accepts.
    #[error(
        "cdiVersion {version} is newer than {newest}, which is as far as this engine goes; write an older spec"
    )]
    TooNew {
        /// The version of the file.
        version: CdiVersion,
        /// The newest version that the engine accepts.
        newest: CdiVersion,
    },
    /// It uses a feature that its `cdiVersion` does not have.
    #[error("{feature} needs cdiVersion {needs}, and the file says {version}")]
    NeedsVersion {
        /// The feature.
        feature: String,
        /// The first version with this feature.
        needs: CdiVersion,
        /// The version of the file.
        version: CdiVersion,
    },
    /// The kind is not of the form `vendor/class`.
    #[error("{kind:?} is no CDI kind; it is vendor/class, such as nvidia.com/gpu")]
    InvalidKind {
        /// The kind as written.
        kind: String,
    },
    /// The name of a device is invalid.
    #[error("{name:?} is no name of a CDI device: letters, digits, and `_-.:` between them")]
    InvalidDeviceName {
        /// The name as written.
        name: String,
    },
    /// A device changes nothing in a container: its `containerEdits` are missing or empty.
    #[error("device {name:?} has no containerEdits")]
    EmptyDevice {
        /// The name of the device.
        name: String,
    },
    /// Two devices of the file have the same name.
    #[error("declares device {name:?} twice")]
    DuplicateDevice {
        /// The name of the device.
        name: String,
    },
    /// The file declares no device; it must declare at least one.
    #[error("declares no device")]
    NoDevices,
    /// Other files in the same directory declare the device too. The engine uses none of them.
    #[error("device {device} is also declared by {}, so none is used", list(.with))]
    Conflict {
        /// The qualified name of the device.
        device: String,
        /// The other files.
        with: Vec<PathBuf>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
