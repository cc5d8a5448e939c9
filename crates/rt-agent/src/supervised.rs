//! A command that was handed to an agent, seen through its control socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rt_process::RemoteCommand;
use rt_protocol::{Until, UntilError};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use crate::progress::Progress;
use crate::socket::{receive, wait};
use crate::wire_format::{FRAME, Order};

/// A command that was handed to an agent. Dropping it ends the command: its supervisor sees the end of the socket.
#[derive(Debug)]
pub struct Supervised {
    control: OwnedFd,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    progress: Progress,
    host_pid: Option<u32>,
    is_ending: bool,
    /// The agent reaps what the command leaves behind, so it stays as long.
    _agent: Arc<OwnedFd>,
}

impl Supervised {
    pub(crate) fn new(control: OwnedFd, request: Vec<u8>, agent: Arc<OwnedFd>) -> Self {
        let progress = Progress::default();
        Self { control, unsent: request, progress, host_pid: None, is_ending: false, _agent: agent }
    }

    /// What is known of it so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The number of its supervisor on this machine, by the kernel's word; `None` before it said anything, and where it
    /// cannot be seen from here.
    pub fn host_pid(&self) -> Option<u32> {
        self.host_pid
    }

    /// Sends and receives what can be without waiting.
    pub fn advance(&mut self) {
        self.send_rest();
        let mut buffer = [0; 8 * FRAME];
        while !self.progress.has_ended() {
            match receive(self.control.as_fd(), &mut buffer) {
                Ok((0, _)) => self.progress.end(),
                Ok((length, sender)) => {
                    self.host_pid = self.host_pid.or(sender);
                    self.progress.take(&buffer[..length]);
                    // A shorter answer was all there is, but for the end; poll tells that.
                    if length < buffer.len() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // It ended without having read everything; what it said before was received.
                Err(_) => self.progress.end(),
            }
        }
    }

    /// Waits until the supervisor has something to say, or `done` is true of what it has said.
    ///
    /// # Errors
    /// The limit is over.
    pub fn wait(&mut self, until: &Until, done: impl Fn(&Progress) -> bool) -> Result<(), UntilError> {
        while !done(&self.progress) && !self.progress.has_ended() {
            let flags = if self.wants_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            wait(&self.control, flags, until)?;
            self.advance();
        }
        Ok(())
    }

    /// Sends a signal (1 to 64) to the process group of the command.
    pub fn signal_group(&mut self, signal: u32) {
        self.order(Order::SignalGroup(signal));
    }

    /// Sends a signal (1 to 64) to the command and all its descendants.
    pub fn signal_tree(&mut self, signal: u32) {
        self.order(Order::SignalTree(signal));
    }

    /// Has the command and all its descendants ended: TERM, `grace`, KILL. What comes of it is said by
    /// [`Progress::descendants`].
    pub fn end(&mut self, grace: Duration) {
        self.is_ending = true;
        self.order(Order::End(grace.as_millis().try_into().unwrap_or(u32::MAX)));
    }

    /// Gives up a command that may not have begun. Afterwards [`Progress::is_begun`] is final: what has not begun never will.
    pub fn withdraw(&mut self) {
        // The supervisor says that it is about to start, and starts nothing where that cannot be sent. From here on it
        // cannot; what was sent before is received below.
        let _ = shutdown(&self.control, Shutdown::Both);
        while !self.progress.has_ended() {
            self.advance();
        }
    }

    fn order(&mut self, order: Order) {
        self.unsent.extend_from_slice(&order.to_bytes());
        self.send_rest();
    }

    pub(crate) fn send_rest(&mut self) {
        while !self.unsent.is_empty() {
            match send(&self.control, &self.unsent, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // It reads no more; what it has said is still received.
                Err(_) => self.unsent.clear(),
            }
        }
    }
}

impl AsFd for Supervised {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

/// Its streams end when the command does, or when it and all its descendants are being ended, with the last word on these.
impl RemoteCommand for Supervised {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.has_exited()).then(|| self.control.as_fd())
    }

    fn wants_write(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn ready(&mut self) {
        self.advance();
    }

    fn has_exited(&self) -> bool {
        if self.is_ending { self.progress.is_settled() } else { self.progress.command_end().is_some() }
    }
}
