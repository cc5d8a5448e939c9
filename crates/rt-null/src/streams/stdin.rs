//! The caller's source as the stdin of a scripted command. Outputs are in `script/output`.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rt_protocol::sync::Waker;
use rt_protocol::{SourceKind, StreamEnd, StreamFd, StreamReport, UntilError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::message_socket::refuse_message_socket;
use super::waiter::Waiter;
use super::worker::Worker;

/// The most that one read asks of a reader, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Where stdin comes from, and how many bytes have come.
#[derive(Debug)]
pub(crate) struct Stdin<'s> {
    feed: Feed<'s>,
    bytes: u64,
    ended: bool,
}

#[derive(Debug)]
enum Feed<'s> {
    Empty,
    Bytes(io::Cursor<Vec<u8>>),
    Descriptor(StreamFd<'s>, Waker),
    /// Is asked for no more than the command wants, so that nothing is read ahead.
    Reader(Worker<usize, Vec<u8>>),
}

/// Why a read returned nothing.
#[derive(Debug)]
pub(crate) enum StreamError {
    Stopped(UntilError),
    /// The container went away.
    Gone,
    Failed(io::Error),
}

impl<'s> Stdin<'s> {
    /// Takes over the source. `Ok(None)` means a kind of source that this backend does not know.
    pub(crate) fn open(kind: SourceKind<'s>, waiter: &Waiter) -> io::Result<Option<Self>> {
        let feed = match kind {
            SourceKind::Empty => Feed::Empty,
            SourceKind::Bytes(bytes) => Feed::Bytes(io::Cursor::new(bytes)),
            SourceKind::Descriptor(fd) => {
                refuse_message_socket(&fd)?;
                Feed::Descriptor(fd, waiter.notify().waker()?)
            }
            SourceKind::Reader(mut reader) => {
                Feed::Reader(Worker::spawn(waiter.notify(), move |wanted: usize| {
                    let mut chunk = vec![0; wanted];
                    let count = loop {
                        match reader.read(&mut chunk) {
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                            other => break other?,
                        }
                    };
                    chunk.truncate(count);
                    Ok(chunk)
                })?)
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { feed, bytes: 0, ended: false }))
    }

    /// Reads the next bytes; 0 means the end.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        waiter: &Waiter,
        gone: &dyn Fn() -> bool,
    ) -> Result<usize, StreamError> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.feed {
            Feed::Empty => 0,
            Feed::Bytes(bytes) => bytes.read(buffer).map_err(StreamError::Failed)?,
            Feed::Descriptor(fd, wake) => read_descriptor(fd.as_fd(), wake, buffer, waiter, gone)?,
            Feed::Reader(worker) => {
                let wanted = buffer.len().min(CHUNK_BYTES);
                worker.offer(|| wanted);
                let chunk = await_result(worker, waiter, gone)?;
                buffer[..chunk.len()].copy_from_slice(&chunk);
                chunk.len()
            }
        };
        self.ended = count == 0;
        self.bytes += count as u64;
        Ok(count)
    }

    /// Returns what was moved. `stopped` means that the call ended before the command.
    pub(crate) fn report(&self, stopped: bool) -> StreamReport {
        let end = if matches!(self.feed, Feed::Empty) {
            StreamEnd::Unused
        } else if self.ended {
            StreamEnd::Eof
        } else if stopped {
            StreamEnd::Stopped
        } else if self.is_drained() {
            StreamEnd::Eof
        } else {
            StreamEnd::ReaderGone
        };
        StreamReport::new(self.bytes, end)
    }

    /// Returns whether the source is known to be at its end, without reading from it.
    fn is_drained(&self) -> bool {
        match &self.feed {
            Feed::Empty => true,
            Feed::Bytes(bytes) => bytes.position() == bytes.get_ref().len() as u64,
            Feed::Descriptor(fd, _) => {
                let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
                let polled = poll(&mut fds, Some(&Timespec::default()));
                polled.is_ok() && fds[0].revents() == PollFlags::HUP
            }
            Feed::Reader(_) => false,
        }
    }
}

fn read_descriptor(
    fd: BorrowedFd<'_>,
    wake: &Waker,
    buffer: &mut [u8],
    waiter: &Waiter,
    gone: &dyn Fn() -> bool,
) -> Result<usize, StreamError> {
    loop {
        await_ready(fd, PollFlags::IN, wake, waiter, gone)?;
        match rustix::io::read(fd, &mut *buffer) {
            // Another process that shares the descriptor read first.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other.map_err(|errno| StreamError::Failed(errno.into())),
        }
    }
}

/// Waits for the answer of a thread that serves the caller's own reader or writer.
pub(crate) fn await_result<J: Send + 'static, R: Send + 'static>(
    worker: &Worker<J, R>,
    waiter: &Waiter,
    gone: &dyn Fn() -> bool,
) -> Result<R, StreamError> {
    let answer = waiter.wait_for_caller(|| match worker.take() {
        Some(result) => Some(result.map_err(StreamError::Failed)),
        None => gone().then_some(Err(StreamError::Gone)),
    });
    answer.map_err(StreamError::Stopped)?
}

/// Waits until the descriptor can be read or written without blocking, or has failed.
pub(crate) fn await_ready(
    fd: BorrowedFd<'_>,
    wanted: PollFlags,
    wake: &Waker,
    waiter: &Waiter,
    gone: &dyn Fn() -> bool,
) -> Result<(), StreamError> {
    loop {
        if gone() {
            return Err(StreamError::Gone);
        }
        waiter.check().map_err(StreamError::Stopped)?;
        let mut fds = [PollFd::from_borrowed_fd(fd, wanted), PollFd::new(wake, PollFlags::IN)];
        // A time beyond an `i64` of seconds means no limit.
        let limit = waiter.left().and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(StreamError::Failed(errno.into())),
        }
        let (ready, woken) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if woken {
            wake.drain();
        }
        if ready {
            return Ok(());
        }
    }
}
