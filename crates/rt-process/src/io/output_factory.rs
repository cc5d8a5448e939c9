//! Turns a caller's streams into the pumps of one process.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread::{self, Scope, ScopedJoinHandle};

use rt_protocol::sync::Waker;
use rt_protocol::{Capture, LineSink, OutputStream, Sink, SinkKind, StreamFd};

use super::fd::{BlockingWriter, FdKind};
use super::output_pump::OutputPump;
use super::output_target::OutputTarget;
use super::stdin_pump::StdinPump;
use super::worker::Worker;
use crate::{Output, ProcessError, Streams};

/// Runs `body` with the pumps of a caller's streams. Threads that serve borrowed writers end before
/// this returns.
pub(crate) fn with_pumps<'a, T>(
    streams: Streams<'a>,
    refused: impl Fn(io::Error) -> ProcessError,
    body: impl FnOnce(StdinPump<'a>, [OutputPump<'a>; 2], Waker) -> Result<T, ProcessError>,
) -> Result<T, ProcessError> {
    let waker = Waker::new().map_err(&refused)?;
    thread::scope(|scope| {
        let mut outputs = OutputFactory { waker: waker.clone(), scope, threads: Vec::new() };
        let stdout = outputs.open(OutputStream::Stdout, streams.stdout).map_err(&refused)?;
        let stderr = outputs.open(OutputStream::Stderr, streams.stderr).map_err(&refused)?;
        let stdin = StdinPump::new(streams.stdin, &waker).map_err(&refused)?;
        let answer = body(stdin, [stdout, stderr], waker);
        outputs.join();
        answer
    })
}

/// Creates the output pumps of one process. Borrowed writers get a scoped thread.
struct OutputFactory<'scope, 'env> {
    waker: Waker,
    scope: &'scope Scope<'scope, 'env>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> OutputFactory<'scope, '_> {
    /// Creates the pump from `stream` to `output`. Nothing is written before the process runs.
    fn open<'a: 'scope>(&mut self, stream: OutputStream, output: Output<'a>) -> io::Result<OutputPump<'a>> {
        let (sink, copy) = match output {
            Output::Capture(limit) => (Sink::discard(), Some(limit)),
            Output::Bridge(sink) => (sink, None),
            Output::Tee(sink, limit) => (sink, Some(limit)),
        };
        let (filter, kind) = sink.into_parts();
        let target = self.target(kind, filter.is_limited())?;
        Ok(OutputPump::new(stream, target, copy.map(Capture::new)).with_filter(filter))
    }

    /// Waits for the threads of borrowed writers, because the borrow ends with the caller's call.
    fn join(self) {
        for thread in self.threads {
            // Panics of the writer were caught and reported.
            let _ = thread.join();
        }
    }

    fn target<'a: 'scope>(&mut self, kind: SinkKind<'a>, is_limited: bool) -> io::Result<OutputTarget<'a>> {
        Ok(match kind {
            SinkKind::Discard => OutputTarget::Discard,
            SinkKind::Descriptor(fd) => match FdKind::of(&fd)? {
                FdKind::Pipe if !is_limited => OutputTarget::Pipe { sink: fd, full: false },
                FdKind::Socket => OutputTarget::Socket(fd),
                FdKind::File => OutputTarget::File(fd),
                // A descriptor that may block forever, and cannot be told not to, gets a thread.
                // The thread may outlive the call, so it needs its own descriptor. A pipe is one if
                // not all bytes go to it: splice(2) cannot be used then.
                FdKind::Pipe | FdKind::Other => {
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
            SinkKind::Lines(lines) => {
                let (worker, thread) = Worker::scoped(&self.waker, self.scope, line_job(lines))?;
                self.threads.push(thread);
                OutputTarget::lines(worker)
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

/// An empty chunk is the end of the output.
fn line_job(mut lines: LineSink<'_>) -> impl FnMut(&mut Vec<u8>) -> io::Result<()> {
    move |chunk| if chunk.is_empty() { lines.finish() } else { lines.write_all(chunk) }
}

/// Every chunk is flushed, so that a message of a few bytes arrives at once even if the writer
/// buffers.
fn write_job(mut writer: impl Write) -> impl FnMut(&mut Vec<u8>) -> io::Result<()> {
    move |chunk| {
        writer.write_all(chunk)?;
        writer.flush()
    }
}
