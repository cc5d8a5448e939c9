//! The kinds of sink for an output.

use rt_protocol::StreamFd;

use super::line_splitter::LineSplitter;
use super::worker::Worker;

/// The destination of an output.
#[derive(Debug)]
pub(crate) enum OutputTarget<'a> {
    /// Discarded, after it was counted and captured.
    Discard,
    /// Another pipe; `full` if it was full at the last attempt.
    Pipe { sink: StreamFd<'a>, full: bool },
    /// A socket; bytes are sent without waiting.
    Socket(StreamFd<'a>),
    /// A regular file, which never waits for another process.
    File(StreamFd<'a>),
    /// A thread that writes; `busy` while it has a chunk. If `takes_end`, an empty chunk tells it
    /// the end of the output.
    Writer { worker: Worker, busy: bool, takes_end: bool },
    /// Lines for a caller that pulls them.
    Lines(LineSplitter),
}

impl OutputTarget<'_> {
    pub(super) fn writer(worker: Worker) -> Self {
        Self::Writer { worker, busy: false, takes_end: false }
    }

    pub(super) fn lines(worker: Worker) -> Self {
        Self::Writer { worker, busy: false, takes_end: true }
    }
}
