//! What had arrived of a command's streams when its call failed.

use crate::{CapturedOutput, StreamEnd, StreamReport};

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

impl PartialOutput {
    /// Nothing had arrived: of captured output, or of bridged streams.
    pub fn nothing(is_bridged: bool) -> Self {
        if is_bridged {
            let none = StreamReport::new(0, StreamEnd::Stopped);
            return Self::Streams { stdin: none, stdout: none, stderr: none };
        }
        let none = CapturedOutput::default().with_end(StreamEnd::Stopped);
        Self::Output { stdout: none.clone(), stderr: none }
    }
}
