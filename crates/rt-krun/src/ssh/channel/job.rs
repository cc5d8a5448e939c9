//! A command between the caller who wants it and the thread that owns the connection.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};

use rt_agent::Agent;
use rt_protocol::sync::{Notify, lock};
use rt_protocol::{
    CapturedOutput, Error, ExitOutcome, OutputLimit, StreamEnd, TerminalSize, Until, UntilError,
};

use crate::ssh::raw::terminal_request::TerminalRequest;
use crate::ssh::shell::remote_command::RemoteCommand;
use crate::ssh::shell::remote_failure::{FailureSentinel, RemoteFailure};

/// What a connection should run.
#[derive(Debug)]
pub(crate) struct Job {
    /// The text for the guest's login shell.
    pub(crate) command: RemoteCommand,
    pub(crate) sentinel: FailureSentinel,
    /// The terminal that its streams are.
    pub(crate) terminal: Option<TerminalRequest>,
    /// The caller's stdin; `None` means an immediate end, or that nothing is typed.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) output: JobOutput,
    pub(crate) guard: JobGuard,
}

/// The targets of stdout and stderr.
#[derive(Debug)]
pub(crate) enum JobOutput {
    Captured([OutputLimit; 2]),
    Piped([OwnedFd; 2]),
    /// The command is an agent, which gets this program by its stdin. From then on both streams
    /// carry the packets of its commands. stderr is captured.
    Agent(&'static [u8]),
}

/// A job as the caller sees it, shared with the connection. Clones refer to the same job.
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
    /// The login shell has become the command, or is about to.
    has_begun: bool,
    end: Option<JobEnd>,
    /// Signals that the caller wants to send and that were not sent yet.
    signals: Vec<&'static str>,
    /// The size that its terminal should get, if that was not sent yet.
    size: Option<TerminalSize>,
    /// The agent that it has become, until that is taken.
    agent: Option<Agent>,
    /// The caller has abandoned it.
    is_left: bool,
}

/// The progress of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing of it was sent.
    #[default]
    Waiting,
    /// The request was or is being sent.
    Sent,
    /// It has ended.
    Ended,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum JobEnd {
    /// It certainly never ran.
    NotStarted(NotStarted),
    /// It ran, or may have.
    Ran(Ran),
    /// The connection serves no agent, for this reason.
    NoAgent(&'static str),
}

/// Why a job never ran.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// The caller abandoned it before.
    Left,
    /// No connection could be made, or the guest refused the request, for this reason.
    Refused(Error),
    /// The connection accepts no more channels at once; another one may.
    Full,
    /// A kept connection turned out to be dead.
    ConnectionDied,
}

/// The result of a job.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: ExitOutcome,
    /// Whether the login shell became the command.
    pub(crate) has_begun: bool,
    /// The report of the script, if it did not become the command.
    pub(crate) failure: Option<RemoteFailure>,
    /// The captured bytes of stdout and stderr.
    pub(crate) captured: [CapturedOutput; 2],
    /// How the outputs ended.
    pub(crate) output_end: StreamEnd,
    /// How many of the caller's bytes were written to stdin, and whether its end was passed on.
    pub(crate) stdin_bytes: u64,
    pub(crate) stdin_ended: bool,
}

impl JobHandle {
    /// Waits until the job has ended.
    pub(crate) fn wait(&self, until: &Until) -> Result<(), UntilError> {
        self.wait_while(until, |phase| phase != Phase::Ended)
    }

    /// Waits until its request was sent, or until it has ended without that.
    pub(crate) fn wait_for_begin(&self, until: &Until) -> Result<(), UntilError> {
        self.wait_while(until, |phase| phase == Phase::Waiting)
    }

    /// Waits until the login shell becomes the command, or until the job has ended.
    pub(crate) fn wait_for_command(&self, until: &Until) -> Result<(), UntilError> {
        let has_begun = || {
            let state = self.0.lock();
            (state.has_begun || state.phase == Phase::Ended).then_some(())
        };
        self.0.changed.wait_for(until, has_begun)
    }

    /// Waits until it has become an agent, and takes that; `None` if it has ended.
    pub(crate) fn wait_for_agent(&self, until: &Until) -> Result<Option<Agent>, UntilError> {
        let look = || {
            let mut state = self.0.lock();
            match state.phase {
                Phase::Ended => Some(None),
                Phase::Waiting | Phase::Sent => state.agent.take().map(Some),
            }
        };
        self.0.changed.wait_for(until, look)
    }

    fn wait_while(&self, until: &Until, still_running: impl Fn(Phase) -> bool) -> Result<(), UntilError> {
        let look = || (!still_running(self.0.lock().phase)).then_some(());
        self.0.changed.wait_for(until, look)
    }

    /// Returns whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.lock().phase == Phase::Ended
    }

    /// Returns whether nothing of it was sent yet.
    pub(crate) fn is_unsent(&self) -> bool {
        self.0.lock().phase == Phase::Waiting
    }

    /// Takes the result.
    pub(crate) fn take_end(&self) -> Option<JobEnd> {
        self.0.lock().end.take()
    }

    /// Takes the reason why it never ran, if it ended like that.
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

    /// Abandons it. Returns whether it will certainly never run.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.0.lock();
        state.is_left = true;
        state.phase == Phase::Waiting || matches!(state.end, Some(JobEnd::NotStarted(_)))
    }

    /// Sends a signal the next time that the connection's thread checks.
    pub(crate) fn signal(&self, name: &'static str) {
        self.0.lock().signals.push(name);
    }

    /// Changes the size of its terminal the next time that the connection's thread checks.
    pub(crate) fn resize(&self, size: TerminalSize) {
        self.0.lock().size = Some(size);
    }

    /// Returns the connection's side of it.
    pub(crate) fn guard(&self) -> JobGuard {
        JobGuard(self.clone())
    }
}

/// The connection's side of a [`JobHandle`]. Dropping it ends the job, so that no caller waits for
/// a thread that is gone.
#[derive(Debug)]
pub(crate) struct JobGuard(JobHandle);

impl JobGuard {
    /// Returns whether the request may be sent now. From then on it counts as sent.
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

    /// Notes that the login shell becomes the command.
    pub(crate) fn command_begins(&self) {
        self.lock().has_begun = true;
        self.0.0.changed.notify();
    }

    /// Notes that it has become this agent.
    pub(crate) fn becomes(&self, agent: Agent) {
        self.lock().agent = Some(agent);
        self.0.0.changed.notify();
    }

    /// Returns whether the caller has abandoned it.
    pub(crate) fn is_left(&self) -> bool {
        self.lock().is_left
    }

    /// Takes the signals to send.
    pub(crate) fn take_signals(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.lock().signals)
    }

    /// Takes the size to send.
    pub(crate) fn take_size(&self) -> Option<TerminalSize> {
        self.lock().size.take()
    }

    /// Ends it. Only the first call has an effect.
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
    /// The result of a job about which nothing is known.
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
