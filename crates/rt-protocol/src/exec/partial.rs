//! What had arrived of a command's streams when its call failed.

use crate::{CapturedOutput, StreamReport};

/// What had arrived of a command's streams when the call failed; all of it, for [`ErrorKind::CommandFailed`](crate::ErrorKind::CommandFailed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum PartialOutput {
    /// Captured output, under the limits of the request.
    Output {
        /// What had arrived on stdout.
        stdout: CapturedOutput,
        /// What had arrived on stderr.
        stderr: CapturedOutput,
    },
    /// Bridged streams.
    Streams {
        /// What had gone into stdin.
        stdin: StreamReport,
        /// What had come out of stdout.
        stdout: StreamReport,
        /// What had come out of stderr.
        stderr: StreamReport,
    },
}
