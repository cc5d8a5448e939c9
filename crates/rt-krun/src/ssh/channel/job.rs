//! A command on its way between the caller who wants it and the thread that owns the connection.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};

use rt_protocol::sync::{Notify, lock};
use rt_protocol::{CapturedOutput, Error, ExitOutcome, OutputLimit, StreamEnd, Until, UntilError};

use crate::ssh::shell::remote_command::RemoteCommand;
use crate::ssh::shell::remote_failure::{FailureSentinel, RemoteFailure};

/// What a connection is to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// For the guest's login shell.
    pub(crate) command: RemoteCommand,
    pub(crate) sentinel: FailureSentinel,
    /// Where the caller's stdin comes from; none is an end at once.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) output: JobOutput,
    pub(crate) guard: JobGuard,
}

/// Where the outputs go: stdout, and stderr.
#[derive(Debug)]
pub(crate) enum JobOutput {
    Captured([OutputLimit; 2]),
    Piped([OwnedFd; 2]),
}

/// The caller's and the connection's common view of a job. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobHandle(Arc<JobState>);

#[derive(Debug, Default)]
struct JobState {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    end: Option<JobEnd>,
    /// Signals that the caller wants sent and that were not yet.
    signals: Vec<&'static str>,
    /// The caller wants no more of it.
    is_left: bool,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing of it was sent.
    #[default]
    Waiting,
    /// The request was, or is being, sent.
    Sent,
    /// It is over.
    Ended,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum JobEnd {
    /// It certainly never ran.
    NotStarted(NotStarted),
    /// It ran, or may have.
    Ran(Ran),
}

/// Why a job never ran.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// The caller left before.
    Left,
    /// No connection could be made, or the guest refused the request, for this reason.
    Refused(Error),
    /// The connection takes no more channels at once; another may.
    Full,
    /// A connection that was good once turned out to be dead.
    ConnectionDied,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: ExitOutcome,
    /// Whether the login shell came so far as to become the command.
    pub(crate) has_begun: bool,
    /// What the script told instead of becoming the command.
    pub(crate) failure: Option<RemoteFailure>,
    /// What was kept of stdout and of stderr.
    pub(crate) captured: [CapturedOutput; 2],
    /// How the outputs ended.
    pub(crate) output_end: StreamEnd,
    /// Bytes of the caller's own that went into stdin, and whether its end was passed on.
    pub(crate) stdin_bytes: u64,
    pub(crate) stdin_ended: bool,
}

impl JobHandle {
    /// Waits until the job has ended.
    pub(crate) fn wait(&self, until: &Until) -> Result<(), UntilError> {
        self.wait_while(until, |phase| phase != Phase::Ended)
    }

    /// Waits until its request was sent, or it has ended without.
    pub(crate) fn wait_for_begin(&self, until: &Until) -> Result<(), UntilError> {
        self.wait_while(until, |phase| phase == Phase::Waiting)
    }

    fn wait_while(&self, until: &Until, still_running: impl Fn(Phase) -> bool) -> Result<(), UntilError> {
        let look = || (!still_running(self.0.lock().phase)).then_some(());
        self.0.changed.wait_for(until, look)
    }

    /// Whether nothing of it was sent yet.
    pub(crate) fn is_unsent(&self) -> bool {
        self.0.lock().phase == Phase::Waiting
    }

    /// What came of it, once.
    pub(crate) fn take_end(&self) -> Option<JobEnd> {
        self.0.lock().end.take()
    }

    /// Why it never ran, once, if that is how it ended.
    pub(crate) fn take_not_started(&self) -> Option<NotStarted> {
        let mut state = self.0.lock();
        match state.end.take() {
            Some(JobEnd::NotStarted(why)) => Some(why),
            other => {
                state.end = other;
                None
            }
        }
    }

    /// The caller wants no more of it. Whether it will certainly never run.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.0.lock();
        state.is_left = true;
        state.phase == Phase::Waiting || matches!(state.end, Some(JobEnd::NotStarted(_)))
    }

    /// Has a signal sent, when the connection's thread looks next.
    pub(crate) fn signal(&self, name: &'static str) {
        self.0.lock().signals.push(name);
    }

    /// The connection's side of it.
    pub(crate) fn guard(&self) -> JobGuard {
        JobGuard(self.clone())
    }
}

/// The connection's side of a [`JobHandle`]. Dropping it ends the job, so that no caller waits for a thread that is gone.
#[derive(Debug)]
pub(crate) struct JobGuard(JobHandle);

impl JobGuard {
    /// Whether the request may be sent now. From then on it counts as sent.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.lock();
        if state.is_left {
            return false;
        }
        state.phase = Phase::Sent;
        drop(state);
        self.0.0.changed.notify();
        true
    }

    /// Whether the caller has left.
    pub(crate) fn is_left(&self) -> bool {
        self.lock().is_left
    }

    /// The signals that are to be sent.
    pub(crate) fn take_signals(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.lock().signals)
    }

    /// It is over; only the first word on that counts.
    pub(crate) fn end(&self, end: JobEnd) {
        let mut state = self.lock();
        if state.phase != Phase::Ended {
            state.phase = Phase::Ended;
            state.end = Some(end);
        }
        drop(state);
        self.0.0.changed.notify();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock()
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        let phase = self.lock().phase;
        let end = match phase {
            Phase::Waiting => JobEnd::NotStarted(NotStarted::ConnectionDied),
            Phase::Sent => JobEnd::Ran(Ran::lost()),
            Phase::Ended => return,
        };
        self.end(end);
    }
}

impl Ran {
    /// Nothing is known of it.
    fn lost() -> Self {
        Self {
            outcome: ExitOutcome::Lost,
            has_begun: false,
            failure: None,
            captured: std::array::from_fn(|_| CapturedOutput::default().with_end(StreamEnd::Stopped)),
            output_end: StreamEnd::Stopped,
            stdin_bytes: 0,
            stdin_ended: false,
        }
    }
}

impl JobState {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
