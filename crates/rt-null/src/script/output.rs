//! The caller's sinks as the outputs of a scripted command. stdin is in `streams/stdin`.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rt_protocol::sync::Waker;
use rt_protocol::{LineSink, Sink, SinkFilter, SinkKind, StreamEnd, StreamFd, StreamReport, Until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::streams::message_socket::refuse_message_socket;
use crate::streams::stdin::{StreamError, await_ready, await_result};
use crate::streams::waiter::Waiter;
use crate::streams::worker::Worker;

/// The most that a pipe accepts without blocking once it polls writable, in bytes (`PIPE_BUF` of
/// pipe(7)). Flags of a descriptor are never changed, so a larger write could block past the
/// deadline.
const DESCRIPTOR_CHUNK_BYTES: usize = 4096;

/// How long a sink may take for the end of an output whose call has ended.
const LAST_WRITE: Duration = Duration::from_millis(100);

/// Where an output goes, and how many bytes have gone.
#[derive(Debug)]
pub(crate) struct Output<'s> {
    drain: Drain<'s>,
    filter: SinkFilter,
    bytes: u64,
}

enum Drain<'s> {
    Discard,
    Descriptor(StreamFd<'s>, Waker),
    Owned(Worker<Vec<u8>, ()>),
    Borrowed(&'s mut (dyn Write + Send)),
    Lines(LineSink<'s>),
}

impl fmt::Debug for Drain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discard => "Discard",
            Self::Descriptor(..) => "Descriptor",
            Self::Owned(_) => "Owned",
            Self::Borrowed(_) => "Borrowed",
            Self::Lines(_) => "Lines",
        })
    }
}

impl<'s> Output<'s> {
    /// Takes over the sink. `Ok(None)` means a kind of sink that this backend does not know.
    ///
    /// `SinkKind` is invariant in its lifetime because it holds a mutable borrow. Only the writer's
    /// lifetime is shortened here, so that it fits beside values that live for the call.
    pub(crate) fn open<'a: 's>(sink: Sink<'a>, waiter: &Waiter) -> io::Result<Option<Self>> {
        let (filter, kind) = sink.into_parts();
        let drain = match kind {
            SinkKind::Discard => Drain::Discard,
            SinkKind::Descriptor(fd) => {
                refuse_message_socket(&fd)?;
                Drain::Descriptor(fd, waiter.notify().waker()?)
            }
            SinkKind::Owned(mut writer) => {
                Drain::Owned(Worker::spawn(waiter.notify(), move |bytes: Vec<u8>| {
                    writer.write_all(&bytes).and_then(|()| writer.flush())
                })?)
            }
            SinkKind::Borrowed(writer) => Drain::Borrowed(writer),
            SinkKind::Lines(lines) => Drain::Lines(lines),
            _ => return Ok(None),
        };
        Ok(Some(Self { drain, filter, bytes: 0 }))
    }

    /// Hands on all bytes that the limit lets pass before it returns.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        waiter: &Waiter,
        gone: &dyn Fn() -> bool,
    ) -> Result<(), StreamError> {
        let mut passed = bytes.to_vec();
        self.filter.apply(&mut passed);
        if passed.is_empty() { Ok(()) } else { self.hand_on(&passed, waiter, gone) }
    }

    /// Hands on what the sink gets at the end of the output.
    pub(crate) fn finish(&mut self, waiter: &Waiter, gone: &dyn Fn() -> bool) -> Result<(), StreamError> {
        let rest = self.filter.finish();
        if !rest.is_empty() {
            self.hand_on(&rest, waiter, gone)?;
        }
        match &mut self.drain {
            Drain::Lines(lines) => lines.finish().map_err(StreamError::Failed),
            _ => Ok(()),
        }
    }

    /// Does the same for a call that has ended, if the sink accepts it soon.
    pub(crate) fn finish_now(&mut self, waiter: &Waiter) {
        let rest = self.filter.finish();
        if rest.is_empty() {
            return;
        }
        let deadline = Instant::now() + LAST_WRITE;
        let is_written = match &mut self.drain {
            Drain::Discard => true,
            Drain::Descriptor(fd, _) => {
                let mut left = &rest[..];
                while !left.is_empty() && becomes_writable(fd, deadline) {
                    let count = rustix::io::write(&*fd, &left[..left.len().min(DESCRIPTOR_CHUNK_BYTES)]);
                    let Ok(count) = count else { break };
                    left = &left[count..];
                    self.bytes += count as u64;
                }
                false
            }
            Drain::Owned(worker) => {
                // A write that is in progress first.
                let mut is_offered = false;
                let until = Until::after(LAST_WRITE);
                let written = waiter.notify().wait_for(&until, || {
                    let result = worker.take();
                    if is_offered {
                        return result;
                    }
                    is_offered = worker.offer(|| rest.clone());
                    None
                });
                matches!(written, Ok(Ok(())))
            }
            Drain::Borrowed(writer) => writer.write_all(&rest).and_then(|()| writer.flush()).is_ok(),
            Drain::Lines(lines) => lines.write_all(&rest).is_ok(),
        };
        if is_written {
            self.bytes += rest.len() as u64;
        }
    }

    fn hand_on(&mut self, bytes: &[u8], waiter: &Waiter, gone: &dyn Fn() -> bool) -> Result<(), StreamError> {
        match &mut self.drain {
            Drain::Discard => {}
            Drain::Descriptor(fd, wake) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    await_ready(fd.as_fd(), PollFlags::OUT, wake, waiter, gone)?;
                    match rustix::io::write(&*fd, &rest[..rest.len().min(DESCRIPTOR_CHUNK_BYTES)]) {
                        Ok(count) => {
                            rest = &rest[count..];
                            self.bytes += count as u64;
                        }
                        Err(Errno::AGAIN | Errno::INTR) => {}
                        Err(errno) => return Err(StreamError::Failed(errno.into())),
                    }
                }
                return Ok(());
            }
            Drain::Owned(worker) => {
                worker.offer(|| bytes.to_vec());
                await_result(worker, waiter, gone)?;
            }
            Drain::Borrowed(writer) => {
                writer.write_all(bytes).and_then(|()| writer.flush()).map_err(StreamError::Failed)?;
            }
            Drain::Lines(lines) => lines.write_all(bytes).map_err(StreamError::Failed)?,
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Returns how many bytes were moved, and how the stream ended.
    pub(crate) fn report(&self, end: StreamEnd) -> StreamReport {
        StreamReport::new(self.bytes, end).with_omitted(self.filter.omitted())
    }
}

fn becomes_writable(fd: &StreamFd<'_>, deadline: Instant) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::OUT)];
    let limit = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
    poll(&mut fds, limit.as_ref()).is_ok_and(|ready| ready > 0)
}
