//! The packets of an agent on the channel in which it runs.

use std::os::fd::BorrowedFd;
use std::task::Poll;
use std::time::{Duration, Instant};

use rt_agent::Multiplexer;
use rt_protocol::sync::Waker;
use rustix::event::PollFlags;

use super::job::JobGuard;
use crate::ssh::raw::libssh2::{Channel, Refusal};

/// After this many intervals without a byte from an agent that has commands, it counts as gone. One
/// more than for the guest, so that a guest that is silent as a whole is told from this.
const SILENT_INTERVALS: u32 = 4;

/// The host's side of an agent, between its commands and its channel.
#[derive(Debug)]
pub(crate) struct AgentStream {
    multiplexer: Multiplexer,
    /// Its hello has come. Before, its script may read ahead, so nothing is sent.
    is_there: bool,
    has_failed: bool,
    /// The silence after which the agent is asked whether it still serves.
    interval: Duration,
    /// When it last sent something, or when it got its first command; `None` without commands.
    heard: Option<Instant>,
    is_asked: bool,
}

impl AgentStream {
    pub(crate) fn new(waker: Waker, interval: Duration) -> Self {
        Self {
            multiplexer: Multiplexer::new(waker),
            is_there: false,
            has_failed: false,
            interval,
            heard: None,
            is_asked: false,
        }
    }

    /// Returns whether it waits for commands.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_there && self.multiplexer.is_idle()
    }

    /// Returns whether no command is lost if it ends now.
    pub(crate) fn is_unused(&self) -> bool {
        !self.is_there || self.multiplexer.is_idle()
    }

    /// Returns whether it is of no more use: it does not answer, or the guest has sent what no
    /// agent sends.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(crate) fn interests<'p>(&'p self, add: &mut dyn FnMut(BorrowedFd<'p>, PollFlags)) {
        self.multiplexer.interests(add);
    }

    /// Returns when it is to be asked, or given up.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let intervals = if self.is_asked { SILENT_INTERVALS } else { 1 };
        Some(self.heard? + self.interval * intervals)
    }

    /// Takes bytes of its stdout.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Instant) {
        if self.has_failed || bytes.is_empty() {
            return;
        }
        (self.heard, self.is_asked) = (self.heard.and(Some(now)), false);
        if let Err(error) = self.multiplexer.receive(bytes) {
            tracing::debug!(target: "rt_krun", %error, "an agent is given up");
            self.has_failed = true;
        }
    }

    /// Moves what can be moved without waiting. Returns whether anything moved.
    pub(crate) fn advance(
        &mut self,
        channel: &mut Channel,
        guard: &JobGuard,
        now: Instant,
    ) -> Result<bool, Refusal> {
        let mut moved = self.multiplexer.advance();
        if !self.is_there {
            let Some(agent) = self.multiplexer.agent().cloned() else { return Ok(moved) };
            self.is_there = true;
            guard.becomes(agent);
        }
        self.look_for_silence(now);
        while !self.multiplexer.output().is_empty() {
            match channel.write(self.multiplexer.output()) {
                Poll::Pending => break,
                Poll::Ready(count) => self.multiplexer.sent(count?),
            }
            moved = true;
        }
        Ok(moved)
    }

    /// A command can be silent for long, but an agent that is asked cannot. It may have been
    /// stopped.
    fn look_for_silence(&mut self, now: Instant) {
        if self.is_unused() {
            (self.heard, self.is_asked) = (None, false);
            return;
        }
        let silent = now.saturating_duration_since(*self.heard.get_or_insert(now));
        if silent >= self.interval && !std::mem::replace(&mut self.is_asked, true) {
            self.multiplexer.ask();
        }
        if silent >= self.interval * SILENT_INTERVALS {
            tracing::debug!(target: "rt_krun", "an agent that does not answer is given up");
            self.has_failed = true;
        }
    }
}
