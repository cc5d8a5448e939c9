//! The caller's sinks as the outputs of a scripted command. stdin stands in `stdin`.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rt_protocol::sync::Waker;
use rt_protocol::{SinkKind, StreamEnd, StreamFd, StreamReport};
use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::streams::message_socket::refuse_message_socket;
use crate::streams::stdin::{StreamError, await_ready};
use crate::streams::waiter::Waiter;
use crate::streams::worker::Worker;

/// What a pipe takes without blocking once it polls writable (pipe(7), `PIPE_BUF`), in bytes. A descriptor's flags are
/// never changed, so a larger write could block past the deadline.
const DESCRIPTOR_CHUNK_BYTES: usize = 4096;

/// Where an output goes, and how much has gone.
#[derive(Debug)]
pub(crate) struct Output<'s> {
    drain: Drain<'s>,
    bytes: u64,
}

enum Drain<'s> {
    Discard,
    Descriptor(StreamFd<'s>, Waker),
    Owned(Worker<Vec<u8>, ()>),
    Borrowed(&'s mut (dyn Write + Send)),
}

impl fmt::Debug for Drain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discard => "Discard",
            Self::Descriptor(..) => "Descriptor",
            Self::Owned(_) => "Owned",
            Self::Borrowed(_) => "Borrowed",
        })
    }
}

impl<'s> Output<'s> {
    /// Takes the sink over. `Ok(None)` is a kind of sink that this backend does not know.
    ///
    /// `SinkKind` is invariant in its lifetime, because it holds a mutable borrow; that of the writer alone is shortened
    /// here, so that it can stand beside what lives in the call.
    pub(crate) fn open<'a: 's>(kind: SinkKind<'a>, waiter: &Waiter) -> io::Result<Option<Self>> {
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
            _ => return Ok(None),
        };
        Ok(Some(Self { drain, bytes: 0 }))
    }

    /// Hands all of it on, before it returns.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        waiter: &Waiter,
        gone: &dyn Fn() -> bool,
    ) -> Result<(), StreamError> {
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
                waiter
                    .wait_for_caller(|| match worker.take() {
                        Some(result) => Some(result.map_err(StreamError::Failed)),
                        None => gone().then_some(Err(StreamError::Gone)),
                    })
                    .map_err(StreamError::Stopped)??;
            }
            Drain::Borrowed(writer) => {
                writer.write_all(bytes).and_then(|()| writer.flush()).map_err(StreamError::Failed)?;
            }
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// What was moved, and how the stream ended.
    pub(crate) fn report(&self, end: StreamEnd) -> StreamReport {
        StreamReport::new(self.bytes, end)
    }
}
