//! A command that was handed to an agent, seen through its control socket.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rt_process::RemoteCommand;
use rt_protocol::sync::Waker;
use rt_protocol::{TerminalSize, Until, UntilError};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use crate::link::Link;
use crate::orders::{CommandOrders, Outbox};
use crate::progress::Progress;
use crate::socket::{receive, wait};
use crate::wire_format::{FRAME, Order};

/// How long the answer to a withdrawal may take.
const WITHDRAWAL: Duration = Duration::from_secs(1);

/// A command that was handed to an agent. Dropping it ends the command: its supervisor sees the end
/// of the socket.
pub struct Supervised {
    outbox: Arc<Outbox>,
    progress: Progress,
    host_pid: Option<u32>,
    is_ending: bool,
    /// Keeps the agent alive, which reaps what the command leaves behind.
    agent: Link,
}

impl Supervised {
    pub(crate) fn new(control: OwnedFd, request: Vec<u8>, agent: Link) -> Self {
        Self {
            outbox: Arc::new(Outbox::new(control, request)),
            progress: Progress::default(),
            host_pid: None,
            is_ending: false,
            agent,
        }
    }

    /// Returns what is known about it so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the supervisor's process id on this host, as reported by the kernel. `None` before
    /// its first report, or if it is not visible from here.
    pub fn host_pid(&self) -> Option<u32> {
        self.host_pid
    }

    /// Sends and receives what is possible without waiting.
    pub fn advance(&mut self) {
        self.send_rest();
        let mut buffer = [0; 8 * FRAME];
        while !self.progress.has_ended() {
            match receive(self.outbox.control(), &mut buffer) {
                Ok((0, _)) => self.progress.end(),
                Ok((length, sender)) => {
                    self.host_pid = self.host_pid.or(sender);
                    self.progress.take(&buffer[..length]);
                    // A shorter read was everything that had come, except the end, which poll will
                    // show.
                    if length < buffer.len() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // It ended without having read everything; its reports were received before.
                Err(_) => self.progress.end(),
            }
        }
    }

    /// Waits until the supervisor sends no more or `done` returns true.
    ///
    /// # Errors
    /// If the limit has passed.
    pub fn wait(&mut self, until: &Until, done: impl Fn(&Progress) -> bool) -> Result<(), UntilError> {
        while !done(&self.progress) && !self.progress.has_ended() {
            let flags = if self.wants_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            wait(&self.outbox.control(), flags, until)?;
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

    /// Changes the size of the command's terminal. No effect without one.
    pub fn resize(&mut self, size: TerminalSize) {
        self.order(Order::Resize(size.into()));
    }

    /// Ends the command and all its descendants: TERM, `grace`, KILL. [`Progress::descendants`]
    /// gives the result.
    pub fn end(&mut self, grace: Duration) {
        self.is_ending = true;
        self.order(Order::End(grace.as_millis().try_into().unwrap_or(u32::MAX)));
    }

    /// Withdraws a command that may not have begun. Afterwards [`Progress::is_begun`] is final: a
    /// command that has not begun never will. Behind a [`Multiplexer`](crate::Multiplexer) the
    /// agent is asked, for a second at most; without an answer the command counts as begun.
    pub fn withdraw(&mut self) {
        if let Link::Multiplexer(_) = self.agent {
            let _ = shutdown(self.outbox.control(), Shutdown::Write);
            if self.wait(&Until::after(WITHDRAWAL), |_| false).is_err() {
                self.progress.assume_begun();
            }
            return;
        }
        // The supervisor reports that it is about to start, and starts nothing if it cannot send
        // that. From here on it cannot; earlier reports are received below.
        let _ = shutdown(self.outbox.control(), Shutdown::Both);
        while !self.progress.has_ended() {
            self.advance();
        }
    }

    /// Returns what other threads give orders by, while this one drives the command by a bridge
    /// with this waker. They have no effect once the command is dropped.
    pub fn orders(&self, waker: Waker) -> CommandOrders {
        CommandOrders::new(&self.outbox, waker)
    }

    fn order(&mut self, order: Order) {
        self.outbox.push(order);
    }

    pub(crate) fn send_rest(&mut self) {
        self.outbox.send_rest();
    }
}

impl fmt::Debug for Supervised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised")
            .field("outbox", &self.outbox)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl AsFd for Supervised {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.outbox.control()
    }
}

/// The streams end with the command. If it and all its descendants are being ended, they end with
/// the final report on these.
impl RemoteCommand for Supervised {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.has_exited()).then(|| self.outbox.control())
    }

    fn wants_write(&self) -> bool {
        self.outbox.has_unsent()
    }

    fn ready(&mut self) {
        self.advance();
    }

    fn has_exited(&self) -> bool {
        if self.is_ending { self.progress.is_settled() } else { self.progress.command_end().is_some() }
    }
}
