//! What connects the host with an agent: a socket, or the loop of a multiplexer.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rt_protocol::sync::{Waker, lock};
use rustix::io::ioctl_fionbio;

/// What connects the host with an agent. The agent ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// A socket, which passes descriptors.
    Socket(Arc<OwnedFd>),
    /// The loop of a [`Multiplexer`](crate::Multiplexer), which decides itself when it ends.
    Multiplexer(Arc<Queue>),
}

/// Commands that are on their way from other threads to the loop.
pub(crate) struct Queue {
    /// `None` once the agent is gone.
    new: Mutex<Option<Vec<NewCommand>>>,
    waker: Waker,
}

/// A command, with the agent's ends of its control socket and its pipes.
pub(crate) struct NewCommand {
    pub(crate) control: OwnedFd,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) outputs: [OwnedFd; 2],
}

impl NewCommand {
    pub(crate) fn new(
        control: OwnedFd,
        has_stdin: bool,
        [stdin, stdout, stderr]: [BorrowedFd<'_>; 3],
    ) -> io::Result<Self> {
        let stdin = if has_stdin { Some(never_waiting(stdin)?) } else { None };
        Ok(Self { control, stdin, outputs: [never_waiting(stdout)?, never_waiting(stderr)?] })
    }
}

/// A duplicate of a pipe's end. Nothing else uses this end, so all its uses may be told not to
/// wait.
fn never_waiting(pipe: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let pipe = pipe.try_clone_to_owned()?;
    ioctl_fionbio(&pipe, true)?;
    Ok(pipe)
}

impl Queue {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { new: Mutex::new(Some(Vec::new())), waker }
    }

    /// Adds a command. Returns false if the agent is gone.
    pub(crate) fn push(&self, command: NewCommand) -> bool {
        let is_added = lock(&self.new).as_mut().map(|new| new.push(command)).is_some();
        self.waker.wake();
        is_added
    }

    /// Takes those that were added since the last call.
    pub(crate) fn take(&self) -> Vec<NewCommand> {
        lock(&self.new).as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn has_new(&self) -> bool {
        lock(&self.new).as_ref().is_some_and(|new| !new.is_empty())
    }

    /// Refuses commands from now on, and drops those that wait.
    pub(crate) fn close(&self) {
        lock(&self.new).take();
    }

    pub(crate) fn is_open(&self) -> bool {
        lock(&self.new).is_some()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}
