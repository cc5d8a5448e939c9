//! How a caller's outputs become the pumps of one process.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread::{Scope, ScopedJoinHandle};

use rt_protocol::sync::Waker;
use rt_protocol::{Capture, OutputStream, Sink, SinkKind, StreamFd};

use super::fd::{BlockingWriter, FdKind};
use super::output_pump::OutputPump;
use super::output_target::OutputTarget;
use super::worker::Worker;
use crate::Output;

/// Makes the output pumps of one process: borrowed writers get a thread of the scope.
pub(crate) struct OutputFactory<'scope, 'env> {
    waker: Waker,
    scope: &'scope Scope<'scope, 'env>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope, 'env> OutputFactory<'scope, 'env> {
    pub(crate) fn new(waker: &Waker, scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { waker: waker.clone(), scope, threads: Vec::new() }
    }

    /// The pump of `stream` to `output`. Nothing is written before the process runs.
    pub(crate) fn open<'a: 'scope>(
        &mut self,
        stream: OutputStream,
        output: Output<'a>,
    ) -> io::Result<OutputPump<'a>> {
        let (sink, copy) = match output {
            Output::Capture(limit) => (Sink::discard(), Some(limit)),
            Output::Bridge(sink) => (sink, None),
            Output::Tee(sink, limit) => (sink, Some(limit)),
        };
        Ok(OutputPump::new(stream, self.target(sink)?, copy.map(Capture::new)))
    }

    /// Waits for the threads of borrowed writers: the borrow ends with the caller's call.
    pub(crate) fn join(self) {
        for thread in self.threads {
            // Panics of the writer were caught and answered.
            let _ = thread.join();
        }
    }

    fn target<'a: 'scope>(&mut self, sink: Sink<'a>) -> io::Result<OutputTarget<'a>> {
        Ok(match sink.into_kind() {
            SinkKind::Discard => OutputTarget::Discard,
            SinkKind::Descriptor(fd) => match FdKind::of(&fd)? {
                FdKind::Pipe => OutputTarget::Pipe { sink: fd, full: false },
                FdKind::Socket => OutputTarget::Socket(fd),
                FdKind::File => OutputTarget::File(fd),
                // What may block for good, and cannot be told not to, is left to a thread of its own, which may outlive
                // the call and so needs a descriptor of its own.
                FdKind::Other => {
                    let owned = match fd {
                        StreamFd::Owned(owned) => owned,
                        StreamFd::Borrowed(borrowed) => borrowed.as_fd().try_clone_to_owned()?,
                    };
                    OutputTarget::writer(Worker::detached(
                        &self.waker,
                        write_job(BlockingWriter::new(owned)),
                    )?)
                }
            },
            SinkKind::Owned(writer) => {
                OutputTarget::writer(Worker::detached(&self.waker, write_job(writer))?)
            }
            SinkKind::Borrowed(writer) => {
                let (worker, thread) = Worker::scoped(&self.waker, self.scope, write_job(writer))?;
                self.threads.push(thread);
                OutputTarget::writer(worker)
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

/// Every chunk is flushed: a message of a few bytes arrives at once, whatever the writer buffers.
fn write_job(mut writer: impl Write) -> impl FnMut(&mut Vec<u8>) -> io::Result<()> {
    move |chunk| {
        writer.write_all(chunk)?;
        writer.flush()
    }
}
