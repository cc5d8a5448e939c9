//! The state that the thread of a connection shares with other threads.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rt_protocol::sync::{Notify, Waker, lock};
use rt_protocol::{Error, ErrorKind};

use super::connect::Connection;
use crate::ssh::channel::job::{Job, JobEnd, NotStarted};

/// The settings of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionConfig {
    /// How long making a connection may take.
    pub(crate) connect_limit: Duration,
    /// The silence of the guest after which a keepalive request is sent.
    pub(crate) keepalive: Duration,
    /// How long a connection without commands is kept.
    pub(crate) idle: Duration,
}

/// The number of keepalive intervals without an answer after which the guest counts as gone.
pub(super) const SILENT_INTERVALS: u32 = 3;

/// The state that the thread of a connection shares with other threads.
#[derive(Debug)]
pub(crate) struct SharedSession {
    pub(super) state: Mutex<State>,
    pub(super) waker: Waker,
    pub(super) config: SessionConfig,
    pub(super) notify: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) jobs: VecDeque<Job>,
    pub(super) permits: usize,
    pub(super) most_permits: usize,
    /// Refuses new commands; it ends with its last command.
    pub(super) is_retired: bool,
    pub(super) socket: Option<Arc<TcpStream>>,
    /// Its thread is done with it.
    pub(super) has_ended: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    Connecting,
    Ready,
    /// It has ended; with the reason if it was never made.
    Gone(Option<Error>),
}

impl SharedSession {
    /// Jobs that were posted since the last call.
    pub(super) fn take_jobs(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.lock().jobs)
    }

    pub(super) fn is_retired(&self) -> bool {
        self.lock().is_retired
    }

    /// Refuses new commands from now on.
    pub(super) fn retire(&self) {
        self.lock().is_retired = true;
    }

    /// Records that the guest accepts only this many channels for commands. There are none if an
    /// agent has the only one.
    pub(super) fn limit_permits(&self, most: usize) {
        self.lock().most_permits = most;
    }

    /// Records that an agent has ended. A connection that only served it has no use any more.
    pub(super) fn agent_ended(&self) {
        let mut state = self.lock();
        state.is_retired |= state.most_permits == 0;
    }

    /// Refuses everything from now on: the connection ends.
    pub(super) fn ends(&self) {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Gone(_)) {
            state.stage = Stage::Gone(None);
        }
    }

    /// Ends a connection without permits in use; returns false if there are some.
    pub(super) fn close_idle(&self) -> bool {
        let mut state = self.lock();
        let is_idle = state.permits == 0 && state.jobs.is_empty();
        if is_idle {
            state.stage = Stage::Gone(None);
        }
        is_idle
    }

    pub(super) fn is_called_off(&self) -> bool {
        let state = self.lock();
        state.is_retired || state.permits == 0
    }

    pub(super) fn ready(&self, connection: &Connection) {
        let mut state = self.lock();
        state.stage = Stage::Ready;
        state.socket = Some(Arc::clone(&connection.socket));
        drop(state);
        self.notify.notify();
    }

    pub(super) fn gone(&self, why: Option<Error>) {
        let jobs = {
            let mut state = self.lock();
            state.socket = None;
            state.has_ended = true;
            if !matches!(state.stage, Stage::Gone(_)) {
                state.stage = Stage::Gone(why.clone());
            }
            std::mem::take(&mut state.jobs)
        };
        for job in jobs {
            job.guard.end(not_started(why.as_ref()));
        }
        self.notify.notify();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

pub(super) fn not_started(why: Option<&Error>) -> JobEnd {
    JobEnd::NotStarted(match why {
        // Cancelled just before another caller wanted it: that one gets another connection.
        Some(error) if error.kind() != ErrorKind::Cancelled => NotStarted::Refused(error.clone()),
        _ => NotStarted::ConnectionDied,
    })
}
