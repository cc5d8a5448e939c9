//! The kinds of sink that an output can lead to.

use rt_protocol::StreamFd;

use super::line_splitter::LineSplitter;
use super::worker::Worker;

/// Where an output leads.
#[derive(Debug)]
pub(crate) enum OutputTarget<'a> {
    /// It is dropped, once it was counted and a copy was kept.
    Discard,
    /// Another pipe, which was `full` when it was tried last.
    Pipe { sink: StreamFd<'a>, full: bool },
    /// A socket, sent to without waiting.
    Socket(StreamFd<'a>),
    /// A regular file, which never waits for anybody.
    File(StreamFd<'a>),
    /// A thread that writes; `busy` while it has a chunk.
    Writer { worker: Worker, busy: bool },
    /// Lines for a caller who pulls them.
    Lines(LineSplitter),
}

impl OutputTarget<'_> {
    pub(super) fn writer(worker: Worker) -> Self {
        Self::Writer { worker, busy: false }
    }
}
