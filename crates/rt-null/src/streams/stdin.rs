//! The caller's source as the stdin of a scripted command. Outputs stand in `output`.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rt_protocol::sync::Waker;
use rt_protocol::{SourceKind, StreamEnd, StreamFd, StreamReport, UntilError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::message_socket::refuse_message_socket;
use super::waiter::Waiter;
use super::worker::Worker;

/// The most that is asked of a reader at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Where stdin comes from, and how much has come.
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
    /// Asked for no more than the command wants, so that nothing is read ahead.
    Reader(Worker<usize, Vec<u8>>),
}

/// Why a read gave nothing.
#[derive(Debug)]
pub(crate) enum StreamError {
    Stopped(UntilError),
    /// The container has gone.
    Gone,
    Failed(io::Error),
}

impl<'s> Stdin<'s> {
    /// Takes the source over. `Ok(None)` is a kind of source that this backend does not know.
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

    /// Reads the next bytes; 0 is the end.
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
                let chunk = waiter
                    .wait_for_caller(|| match worker.take() {
                        Some(result) => Some(result.map_err(StreamError::Failed)),
                        None => gone().then_some(Err(StreamError::Gone)),
                    })
                    .map_err(StreamError::Stopped)??;
                buffer[..chunk.len()].copy_from_slice(&chunk);
                chunk.len()
            }
        };
        self.ended = count == 0;
        self.bytes += count as u64;
        Ok(count)
    }

    /// What was moved. `stopped` says that the call ended first, and not the command.
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

    /// Whether it is plain without reading that nothing more would have come.
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
            // Somebody else who shares the descriptor was faster.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other.map_err(|errno| StreamError::Failed(errno.into())),
        }
    }
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
        // Later than any i64 of seconds is for ever.
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
