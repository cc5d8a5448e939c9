//! What the acceptor, the links and the test share.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard};

use rt_protocol::sync::{Notify, lock};

use super::fault::{Cut, Direction, FaultPoint, TrafficMode};

/// What has been seen of all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections that were accepted.
    pub accepted: usize,
    /// Of these, how many have ended.
    pub ended: usize,
    /// Bytes that were handed on to the server.
    pub to_server: u64,
    /// Bytes that were handed on to the client.
    pub to_client: u64,
}

/// Wakes a link from its poll. The link ends it by going away.
pub(super) struct Waker(pub(super) UnixStream);

impl Waker {
    /// False when the link has gone.
    pub(super) fn wake(&self) -> bool {
        // A full socket wakes already.
        !matches!((&self.0).write(&[0]), Err(error) if error.kind() != ErrorKind::WouldBlock)
    }
}

/// The state and its lock.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) traffic: TrafficMode,
    pub(super) fault_points: Vec<FaultPoint>,
    /// Numbers the cuts of everything: a link ends when the number has changed since it began.
    pub(super) cuts: u64,
    pub(super) last_cut: Option<Cut>,
    pub(super) seen: Seen,
    pub(super) closing: bool,
    pub(super) wakers: Vec<Waker>,
}

impl Seen {
    pub(super) fn passed(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes the state, and tells everybody.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.wakers.retain(Waker::wake);
        self.changed.notify();
    }

    /// Notes what was seen, and tells the test.
    pub(super) fn record(&self, seen: impl FnOnce(&mut Seen)) {
        seen(&mut self.lock().seen);
        self.changed.notify();
    }
}
