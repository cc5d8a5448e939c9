//! The output of a command whose call failed.

use crate::{CapturedOutput, StreamEnd, StreamReport};

/// What arrived on the streams of a command before its call failed. Complete for
/// [`ErrorKind::CommandFailed`](crate::ErrorKind::CommandFailed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum PartialOutput {
    /// Captured output, under the limits of the request.
    Output {
        /// What arrived on stdout.
        stdout: CapturedOutput,
        /// What arrived on stderr.
        stderr: CapturedOutput,
    },
    /// Bridged streams.
    Streams {
        /// What went into stdin.
        stdin: StreamReport,
        /// What came from stdout.
        stdout: StreamReport,
        /// What came from stderr.
        stderr: StreamReport,
    },
}

impl PartialOutput {
    /// Returns the output of a command from which nothing arrived, captured or bridged.
    pub fn nothing(is_bridged: bool) -> Self {
        if is_bridged {
            let none = StreamReport::new(0, StreamEnd::Stopped);
            return Self::Streams { stdin: none, stdout: none, stderr: none };
        }
        let none = CapturedOutput::default().with_end(StreamEnd::Stopped);
        Self::Output { stdout: none.clone(), stderr: none }
    }
}
