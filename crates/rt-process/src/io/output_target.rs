//! The kinds of sink that an output can lead to, and how a caller's [`Output`] becomes one.

use std::io::{self, Write};
use std::thread::{Scope, ScopedJoinHandle};

use rt_protocol::{Capture, OutputStream, Sink, SinkKind, StreamFd};

use super::fd::{BlockingWriter, Kind};
use super::line_splitter::Splitter;
use super::output_pump::Outlet;
use super::waker::Waker;
use super::worker::Worker;
use crate::Output;
use std::os::fd::AsFd;

/// Where an output leads.
#[derive(Debug)]
pub(crate) enum Way<'a> {
    /// It is dropped, once it was counted and a copy was kept.
    Nowhere,
    /// Another pipe, which was `full` when it was tried last.
    Pipe { sink: StreamFd<'a>, full: bool },
    /// A socket, sent to without waiting.
    Socket(StreamFd<'a>),
    /// A regular file, which never waits for anybody.
    File(StreamFd<'a>),
    /// A thread that writes; `busy` while it has a chunk.
    Writer { worker: Worker, busy: bool },
    /// Lines for a caller who pulls them.
    Lines(Splitter),
}

/// What makes the outlets of one process: borrowed writers get a thread of the scope.
pub(crate) struct Outlets<'scope, 'env> {
    waker: Waker,
    scope: &'scope Scope<'scope, 'env>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope, 'env> Outlets<'scope, 'env> {
    pub(crate) fn new(waker: &Waker, scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { waker: waker.clone(), scope, threads: Vec::new() }
    }

    /// The outlet of `stream` to `output`. Nothing is written before the process runs.
    pub(crate) fn open<'a: 'scope>(
        &mut self,
        stream: OutputStream,
        output: Output<'a>,
    ) -> io::Result<Outlet<'a>> {
        let (sink, copy) = match output {
            Output::Capture(limit) => (Sink::discard(), Some(limit)),
            Output::Bridge(sink) => (sink, None),
            Output::Tee(sink, limit) => (sink, Some(limit)),
        };
        Ok(Outlet::new(stream, self.way(sink)?, copy.map(Capture::new)))
    }

    /// Waits for the threads of borrowed writers: the borrow ends with the caller's call.
    pub(crate) fn join(self) {
        for thread in self.threads {
            // Panics of the writer were caught and answered.
            let _ = thread.join();
        }
    }

    fn way<'a: 'scope>(&mut self, sink: Sink<'a>) -> io::Result<Way<'a>> {
        Ok(match sink.into_kind() {
            SinkKind::Discard => Way::Nowhere,
            SinkKind::Descriptor(fd) => match Kind::of(&fd)? {
                Kind::Pipe => Way::Pipe { sink: fd, full: false },
                Kind::Socket => Way::Socket(fd),
                Kind::File => Way::File(fd),
                // What may block for good, and cannot be told not to, is left to a thread of its own, which may outlive
                // the call and so needs a descriptor of its own.
                Kind::Other => {
                    let owned = match fd {
                        StreamFd::Owned(owned) => owned,
                        StreamFd::Borrowed(borrowed) => borrowed.as_fd().try_clone_to_owned()?,
                    };
                    Way::writer(Worker::detached(&self.waker, writing(BlockingWriter::new(owned)))?)
                }
            },
            SinkKind::Owned(writer) => Way::writer(Worker::detached(&self.waker, writing(writer))?),
            SinkKind::Borrowed(writer) => {
                let (worker, thread) = Worker::scoped(&self.waker, self.scope, writing(writer))?;
                self.threads.push(thread);
                Way::writer(worker)
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

impl Way<'_> {
    fn writer(worker: Worker) -> Self {
        Self::Writer { worker, busy: false }
    }
}

/// Every chunk is flushed: a message of a few bytes arrives at once, whatever the writer buffers.
fn writing(mut writer: impl Write) -> impl FnMut(&mut Vec<u8>) -> io::Result<()> {
    move |chunk| {
        writer.write_all(chunk)?;
        writer.flush()
    }
}
