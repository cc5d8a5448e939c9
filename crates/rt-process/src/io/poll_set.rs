//! One call of poll(2): which descriptors wait for what, and the result.

use std::thread;
use std::time::Duration;

use rt_protocol::OutputStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::AsFd;

/// The purpose of a descriptor in the poll set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Waker,
    Child,
    /// The caller's end of stdin.
    Source,
    /// The process's end of stdin.
    Stdin,
    /// The process's end of an output.
    Output(OutputStream),
    /// The caller's end of an output.
    Sink(OutputStream),
    /// The caller's [`PollSource`](crate::PollSource) or remote command.
    PollSource,
}

/// The descriptors of one poll.
#[derive(Debug, Default)]
pub(crate) struct PollSet<'p> {
    tags: Vec<Token>,
    fds: Vec<PollFd<'p>>,
}

impl<'p> PollSet<'p> {
    pub(crate) fn add(&mut self, tag: Token, fd: &'p impl AsFd, flags: PollFlags) {
        self.tags.push(tag);
        self.fds.push(PollFd::new(fd, flags));
    }

    /// Waits for the first of them, at most for `timeout`. If the wait is interrupted, nothing is
    /// ready: the caller checks its clock and waits again.
    pub(crate) fn wait(mut self, timeout: Option<Duration>) -> Ready {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut self.fds, timeout.as_ref()) {
            Ok(_) => Ready(self.tags.into_iter().zip(self.fds.iter().map(PollFd::revents)).collect()),
            Err(Errno::INTR) => Ready(Vec::new()),
            Err(error) => {
                // Only a kernel without memory returns this. The deadline must still be kept,
                // without a busy loop.
                tracing::warn!(target: "rt_process", %error, "poll failed");
                thread::sleep(timeout_or_nap(timeout));
                Ready(Vec::new())
            }
        }
    }
}

fn timeout_or_nap(timeout: Option<Timespec>) -> Duration {
    let nap = Duration::from_millis(10);
    timeout.and_then(|timeout| Duration::try_from(timeout).ok()).map_or(nap, |timeout| timeout.min(nap))
}

/// The result of a poll.
#[derive(Debug)]
pub(crate) struct Ready(Vec<(Token, PollFlags)>);

impl Ready {
    /// Returns the result for `tag`; empty if nothing was requested or nothing is ready.
    pub(crate) fn of(&self, tag: Token) -> PollFlags {
        self.0.iter().find(|(known, _)| *known == tag).map_or(PollFlags::empty(), |(_, flags)| *flags)
    }

    /// Returns whether there is anything to do: data, room, an end, or an error that the attempt
    /// will report.
    pub(crate) fn is(&self, tag: Token) -> bool {
        !self.of(tag).is_empty()
    }
}
