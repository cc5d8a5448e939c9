//! Waking a poll loop from another thread: a descriptor that the loop polls, and nothing about who wakes it or why.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::{CancelRegistration, Until};

/// Wakes one poll loop, which polls it for reading. Clones wake the same loop.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Ends>);

/// Both ends live as long as any clone, so that a late wake-up never meets a closed socket.
#[derive(Debug)]
struct Ends {
    polled: UnixStream,
    woken: UnixStream,
}

impl Waker {
    /// A waker that nobody has used.
    ///
    /// # Errors
    /// The system has no sockets to give.
    pub fn new() -> io::Result<Self> {
        let (polled, woken) = UnixStream::pair()?;
        polled.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        Ok(Self(Arc::new(Ends { polled, woken })))
    }

    /// Wakes the loop, now or at its next poll. Never blocks.
    pub fn wake(&self) {
        // A full socket wakes the loop already.
        let _ = (&self.0.woken).write(&[1]);
    }

    /// Wakes the loop when `until` is cancelled, as long as the registration lives. `None` where nobody can cancel.
    pub fn wake_on_cancel(&self, until: &Until) -> Option<CancelRegistration> {
        let waker = self.clone();
        until.cancel_token().map(|token| token.on_cancel(move || waker.wake()))
    }

    /// Takes all wake-ups so far. Their reason has to be looked at after this, not before.
    pub fn drain(&self) {
        let mut bytes = [0; 256];
        while matches!((&self.0.polled).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.polled.as_fd()
    }
}
