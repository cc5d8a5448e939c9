//! Waking a poll loop from another thread: a pipe that the loop polls, and nothing about who wakes it or why.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rt_protocol::{CancelRegistration, Until};

use super::fd::set_nonblocking;

/// Wakes one poll loop, which polls it for reading. Clones wake the same loop.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Ends>);

/// Both ends live as long as any clone, so that a late wake-up never meets a closed pipe and its SIGPIPE.
#[derive(Debug)]
struct Ends {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Waker {
    /// A waker that nobody has used.
    ///
    /// # Errors
    /// The system has no pipe to give.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        set_nonblocking(&reader)?;
        set_nonblocking(&writer)?;
        Ok(Self(Arc::new(Ends { reader, writer })))
    }

    /// Wakes the loop, now or at its next poll. Never blocks.
    pub fn wake(&self) {
        // A full pipe wakes the loop already.
        let _ = (&self.0.writer).write(&[1]);
    }

    /// Wakes the loop when `until` is cancelled, as long as the registration lives. `None` where nobody can cancel.
    pub fn wake_on_cancel(&self, until: &Until) -> Option<CancelRegistration> {
        let waker = self.clone();
        until.cancel_token().map(|token| token.on_cancel(move || waker.wake()))
    }

    /// Takes all wake-ups so far. Their reason has to be looked at after this, not before.
    pub fn drain(&self) {
        let mut bytes = [0; 256];
        while matches!((&self.0.reader).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
