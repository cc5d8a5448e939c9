//! Wakes a poll loop from another thread, by a descriptor that the loop polls.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::{CancelRegistration, Until};

/// Wakes one poll loop, which polls it for reading. Clones wake the same loop.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Ends>);

/// Both ends live as long as any clone, so a late wake-up never meets a closed socket.
#[derive(Debug)]
struct Ends {
    polled: UnixStream,
    woken: UnixStream,
}

impl Waker {
    /// Returns a waker.
    ///
    /// # Errors
    /// The operating system has no sockets left.
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

    /// Wakes the loop when `until` is cancelled, as long as the registration lives; `None` without
    /// a token.
    pub fn wake_on_cancel(&self, until: &Until) -> Option<CancelRegistration> {
        let waker = self.clone();
        until.cancel_token().map(|token| token.on_cancel(move || waker.wake()))
    }

    /// Removes all wake-ups so far. Check for their reason after this call, not before.
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
