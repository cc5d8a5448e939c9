//! Recorded streams and reservations.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rt_protocol::{PortReservation, Pull, PullStream, Result, Until};

use super::playback::Playback;
use crate::format::invocation::Invocation;
use crate::format::json::JsonCodec;
use crate::format::pulled;

/// A stream that returns what was recorded. A recorded idle pull waits until the pull's own `until`
/// ends, as the contract requires. How often a stream is idle depends on timing, so a stream that
/// was idle last may be idle again.
pub(crate) struct ReplayedStream {
    playback: Arc<Playback>,
    number: u64,
    last: Last,
    closed: bool,
}

/// The answer of the last pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Item,
    Idle,
    /// The end, or an error, which ends a stream too.
    End,
}

impl ReplayedStream {
    pub(crate) fn new(playback: &Arc<Playback>, number: u64) -> Self {
        Self { playback: Arc::clone(playback), number, last: Last::Item, closed: false }
    }
}

impl<T: JsonCodec> PullStream<T> for ReplayedStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<T>> {
        let invocation = Invocation::pull(self.number);
        let can_end = until.deadline().is_some() || until.cancel_token().is_some();
        loop {
            let entry = self.playback.find(&invocation);
            if self.closed {
                return Ok(Pull::End);
            }
            let answer = match entry {
                Some(entry) => self.playback.answer(&invocation, &entry, pulled::decode),
                None if self.last == Last::End => Ok(Pull::End),
                None if self.last == Last::Idle && can_end => Ok(Pull::Pending),
                None => Err(self.playback.not_recorded(&invocation)),
            };
            self.last = match &answer {
                Ok(Pull::Item(_)) => Last::Item,
                Ok(Pull::Pending) => Last::Idle,
                Ok(Pull::End) | Err(_) => Last::End,
            };
            if self.last != Last::Idle {
                return answer;
            }
            // A pull that waits forever is never idle.
            if can_end {
                self.playback.null.clock().wait_for_end(until);
                return answer;
            }
        }
    }

    fn close(&mut self) -> Result<()> {
        self.closed = true;
        closed(&self.playback, self.number)
    }
}

/// Returns the recorded answer to a close; success if none was recorded.
fn closed(playback: &Playback, number: u64) -> Result<()> {
    let invocation = Invocation::close(number);
    match playback.find(&invocation) {
        Some(entry) => playback.answer(&invocation, &entry, <()>::decode),
        None => Ok(()),
    }
}

/// A port that is not held.
pub(crate) struct ReplayedPort {
    playback: Arc<Playback>,
    number: u64,
    address: SocketAddr,
}

impl ReplayedPort {
    pub(crate) fn new(playback: &Arc<Playback>, number: u64, address: SocketAddr) -> Self {
        Self { playback: Arc::clone(playback), number, address }
    }
}

impl PortReservation for ReplayedPort {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn close(&mut self) -> Result<()> {
        closed(&self.playback, self.number)
    }
}

impl fmt::Debug for ReplayedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayedStream")
            .field("number", &self.number)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReplayedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayedPort").field("address", &self.address).finish_non_exhaustive()
    }
}
