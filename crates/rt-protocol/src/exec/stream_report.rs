//! The report about one byte stream of a command.

use crate::word_enum;

/// How many bytes went through one stream, and how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StreamReport {
    /// The bytes that were passed on: into the command's stdin, or to the sink.
    pub bytes: u64,
    /// Output only: the bytes that the request's [limit](crate::OutputLimit) dropped.
    #[cfg_attr(feature = "serde", serde(default))]
    pub omitted: u64,
    /// How the stream ended.
    pub end: StreamEnd,
}

impl StreamReport {
    /// Returns a report; for backends and tests.
    pub fn new(bytes: u64, end: StreamEnd) -> Self {
        Self { bytes, omitted: 0, end }
    }

    /// Returns the report with this number of dropped bytes; for backends and tests.
    #[must_use]
    pub fn with_omitted(self, omitted: u64) -> Self {
        Self { omitted, ..self }
    }

    /// Returns the report with this end; for backends and tests.
    #[must_use]
    pub fn with_end(self, end: StreamEnd) -> Self {
        Self { end, ..self }
    }

    /// Returns the length of the stream in bytes, passed on or not.
    pub fn total(&self) -> u64 {
        self.bytes.saturating_add(self.omitted)
    }

    /// Returns whether the request's limit dropped bytes.
    pub fn is_truncated(&self) -> bool {
        self.omitted > 0
    }
}

word_enum! {
    /// How a stream ended.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum StreamEnd: "end of a stream" {
        /// stdin only: there was none.
        #[default]
        Unused = "unused",
        /// The stream reached its end, and all of it was passed on, or discarded by
        /// [`Sink::discard`](crate::Sink::discard).
        Eof = "eof",
        /// The command itself holds the other end of the caller's pipe, see
        /// [`RunningCommand`](crate::RunningCommand). Nobody counts the bytes, and the end that the
        /// caller sees is that of the command's own writes or reads.
        Direct = "direct",
        /// stdin only: the command stopped reading, or ended, before the source did.
        ReaderGone = "reader-gone",
        /// Output only: the command has ended, but a background child holds its stream open. The
        /// stream was closed after a limited wait, so later output of the child is lost. Output of
        /// the command itself is complete, within the limits of the backend.
        LeftOpen = "left-open",
        /// The call ended first: by a deadline, a cancellation, the failure of a stream, or the
        /// loss of the container or connection. Or the backend lost output on the way (podman, if
        /// stdin was left unread). The command may have written more than was passed on.
        Stopped = "stopped",
    }
}
