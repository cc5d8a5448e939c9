//! One connection to a guest, as other threads see it: permits, jobs, and its end.

pub(crate) mod banner;
pub(crate) mod connect;
pub(crate) mod poll_loop;
pub(crate) mod pool;
pub(crate) mod server;
pub(crate) mod shared_session;
pub(crate) mod tcp;

use std::collections::VecDeque;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use rt_protocol::sync::{Notify, Waker};
use rt_protocol::{Result, TerminalSize};

use super::channel::job::{Job, JobHandle};
use connect::Connection;
use shared_session::{SessionConfig, SharedSession, Stage, State, not_started};

use tcp::Watch;

/// A connection. Clones refer to the same one.
#[derive(Clone, Debug)]
pub(super) struct SshSession(Arc<SharedSession>);

impl SshSession {
    /// Starts a connection. Its thread calls `connect` and then serves the jobs until the
    /// connection ends. Last of all it calls `ended`.
    pub(super) fn open(
        config: SessionConfig,
        most_permits: usize,
        notify: Notify,
        connect: impl FnOnce(&Watch<'_>) -> Result<Connection> + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let state = State {
            stage: Stage::Connecting,
            jobs: VecDeque::new(),
            permits: 0,
            most_permits,
            is_retired: false,
            socket: None,
            has_ended: false,
        };
        let shared =
            Arc::new(SharedSession { state: Mutex::new(state), waker: Waker::new()?, config, notify });
        let served = Arc::clone(&shared);
        // Linux cuts names at 15 bytes.
        thread::Builder::new().name(String::from("rt-krun-ssh")).spawn(move || {
            // After a panic too, so that no caller waits for a connection without a thread.
            let guard = GoneOnDrop(&served);
            let watch = Watch {
                waker: &served.waker,
                deadline: Instant::now() + served.config.connect_limit,
                is_called_off: &|| served.is_called_off(),
            };
            match connect(&watch) {
                Ok(connection) => {
                    served.ready(&connection);
                    poll_loop::run(&served, connection);
                }
                Err(error) => served.gone(Some(error)),
            }
            drop(guard);
            ended();
        })?;
        Ok(Self(shared))
    }

    /// Returns a permit for one command, if there is one.
    pub(super) fn permit(&self) -> Option<SessionPermit> {
        let mut state = self.0.lock();
        let is_open = !matches!(state.stage, Stage::Gone(_)) && !state.is_retired;
        (is_open && state.permits < state.most_permits).then(|| {
            state.permits += 1;
            SessionPermit(self.clone())
        })
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.0.lock().stage, Stage::Connecting)
    }

    /// Returns whether it takes new commands.
    pub(super) fn is_open(&self) -> bool {
        let state = self.0.lock();
        !matches!(state.stage, Stage::Gone(_)) && !state.is_retired
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.0.lock().stage, Stage::Gone(_))
    }

    /// Returns whether its thread is done and its socket is closed.
    pub(super) fn has_ended(&self) -> bool {
        self.0.lock().has_ended
    }

    /// Returns how many permits are in use.
    pub(super) fn permits(&self) -> usize {
        self.0.lock().permits
    }

    /// Has its thread look at what has changed.
    pub(super) fn wake(&self) {
        self.0.waker.wake();
    }

    /// Refuses new commands. The connection ends with its last command.
    pub(super) fn retire(&self) {
        self.0.lock().is_retired = true;
        self.0.waker.wake();
    }

    /// Ends the connection and all its commands now, even if its thread is busy with what a guest
    /// keeps sending.
    pub(super) fn cut(&self) {
        let socket = {
            let mut state = self.0.lock();
            state.is_retired = true;
            state.socket.take()
        };
        if let Some(socket) = socket {
            // If it is not connected any more, it has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.0.waker.wake();
    }
}

/// The right to run one command on a connection. It also keeps the connection from being closed as
/// idle.
#[derive(Debug)]
pub(super) struct SessionPermit(SshSession);

impl SessionPermit {
    pub(super) fn session(&self) -> &SshSession {
        &self.0
    }

    /// Passes a job to the connection.
    pub(super) fn post(&self, job: Job) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        if let Stage::Gone(why) = &state.stage {
            job.guard.end(not_started(why.as_ref()));
            return;
        }
        state.jobs.push_back(job);
        drop(state);
        shared.waker.wake();
    }

    /// Abandons the job. Returns whether it will certainly never run.
    pub(super) fn leave(&self, handle: &JobHandle) -> bool {
        let never = handle.leave();
        self.0.wake();
        never
    }

    /// Sends a signal to the command.
    pub(super) fn signal(&self, handle: &JobHandle, name: &'static str) {
        handle.signal(name);
        self.0.wake();
    }

    /// Changes the size of the command's terminal.
    pub(super) fn resize(&self, handle: &JobHandle, size: TerminalSize) {
        handle.resize(size);
        self.0.wake();
    }
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        state.permits -= 1;
        // No caller waits for the connection to be made, or one only waited for the last of them.
        let can_end = state.permits == 0 && (state.is_retired || matches!(state.stage, Stage::Connecting));
        drop(state);
        if can_end {
            shared.waker.wake();
        }
        shared.notify.notify();
    }
}

struct GoneOnDrop<'a>(&'a SharedSession);

impl Drop for GoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.gone(None);
    }
}
