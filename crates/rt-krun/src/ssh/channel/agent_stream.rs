//! The packets of an agent on the channel in which it runs.

use std::os::fd::BorrowedFd;
use std::task::Poll;

use rt_agent::Multiplexer;
use rt_protocol::sync::Waker;
use rustix::event::PollFlags;

use super::job::JobGuard;
use crate::ssh::raw::libssh2::{Channel, Refusal};

/// The host's side of an agent, between its commands and its channel.
#[derive(Debug)]
pub(crate) struct AgentStream {
    multiplexer: Multiplexer,
    /// Its hello has come. Before, its script may read ahead, so nothing is sent.
    is_there: bool,
    has_failed: bool,
}

impl AgentStream {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { multiplexer: Multiplexer::new(waker), is_there: false, has_failed: false }
    }

    /// Returns whether it waits for commands.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_there && self.multiplexer.is_idle()
    }

    /// Returns whether no command is lost if it ends now.
    pub(crate) fn is_unused(&self) -> bool {
        !self.is_there || self.multiplexer.is_idle()
    }

    /// Returns whether the guest has sent what no agent sends.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(crate) fn interests<'p>(&'p self, add: &mut dyn FnMut(BorrowedFd<'p>, PollFlags)) {
        self.multiplexer.interests(add);
    }

    /// Takes bytes of its stdout.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.has_failed || bytes.is_empty() {
            return;
        }
        if let Err(error) = self.multiplexer.receive(bytes) {
            tracing::debug!(target: "rt_krun", %error, "an agent is given up");
            self.has_failed = true;
        }
    }

    /// Moves what can be moved without waiting. Returns whether anything moved.
    pub(crate) fn advance(&mut self, channel: &mut Channel, guard: &JobGuard) -> Result<bool, Refusal> {
        let mut moved = self.multiplexer.advance();
        if !self.is_there {
            let Some(agent) = self.multiplexer.agent().cloned() else { return Ok(moved) };
            self.is_there = true;
            guard.becomes(agent);
        }
        while !self.multiplexer.output().is_empty() {
            match channel.write(self.multiplexer.output()) {
                Poll::Pending => break,
                Poll::Ready(count) => self.multiplexer.sent(count?),
            }
            moved = true;
        }
        Ok(moved)
    }
}
