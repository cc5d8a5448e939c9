//! What was moved over one byte stream of a command, and how the stream ended.

use crate::word_enum;

/// What was moved over one stream, and how the stream ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StreamReport {
    /// Bytes handed on: into the command's stdin, or to the sink.
    pub bytes: u64,
    /// How the stream ended.
    pub end: StreamEnd,
}

impl StreamReport {
    /// A report; for backends and tests.
    pub fn new(bytes: u64, end: StreamEnd) -> Self {
        Self { bytes, end }
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamEnd {
    /// stdin only: there was none.
    #[default]
    Unused,
    /// The end was reached and passed on: everything there was has been moved, or counted and dropped by
    /// [`Sink::discard`](crate::Sink::discard).
    Eof,
    /// stdin only: the command stopped reading, or ended, before the source did.
    ReaderGone,
    /// Output only: the command has ended, and its stream has not: a background child holds it open, and it was left
    /// after a bounded wait. What that child writes later is lost. What the command itself wrote has been moved, as far as
    /// the backend can tell; see the limits of the backend.
    LeftOpen,
    /// The call ended first: deadline, cancel, the failure of a stream, or the loss of the container or the connection. Or
    /// the backend has lost some of it on the way (podman, where stdin was left unread). More may have been written than was
    /// moved.
    Stopped,
}

word_enum!(StreamEnd, "end of a stream", {
    Unused = "unused",
    Eof = "eof",
    ReaderGone = "reader-gone",
    LeftOpen = "left-open",
    Stopped = "stopped",
});
