//! Waking a poll loop from another thread: a pipe that the loop polls, and nothing about who wakes it or why.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rt_protocol::{CancelRegistration, Until};

use super::fd::set_nonblocking;

/// A bell at the door of one poll loop, which polls it for reading. Clones are the same bell.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Ends>);

/// Both ends live as long as any clone, so that a late ring never meets a closed pipe and its SIGPIPE.
#[derive(Debug)]
struct Ends {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Waker {
    /// A bell that nobody has rung.
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
    pub fn ring(&self) {
        // A full pipe has rung often enough.
        let _ = (&self.0.writer).write(&[1]);
    }

    /// Rings when `until` is cancelled, as long as the registration lives. `None` where nobody can cancel.
    pub fn ring_on_cancel(&self, until: &Until) -> Option<CancelRegistration> {
        let waker = self.clone();
        until.cancel_token().map(|token| token.on_cancel(move || waker.ring()))
    }

    /// Takes all rings so far. What was rung for has to be looked at after this, not before.
    pub fn hush(&self) {
        let mut rings = [0; 256];
        while matches!((&self.0.reader).read(&mut rings), Ok(count) if count == rings.len()) {}
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
