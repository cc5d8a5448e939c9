//! Where the agents of a container come from, and what is done when one does not serve.

use std::time::Duration;

use rt_protocol::{Error, KillReport, Result};

use crate::{Agent, AgentError};

/// Provides the agents of one container.
pub trait AgentSource {
    /// Returns an agent for the next attempt. `refused` is why the previous agent did not take the
    /// command, which has not run; `None` in the first attempt.
    ///
    /// # Errors
    /// If no agent is available. The call returns this error.
    fn agent(&mut self, refused: Option<AgentError>) -> Result<Agent>;

    /// Called if a command does not begin within 150 ms, and then once a second; and if a command
    /// that is being killed has not ended 500 ms after the grace period. The container may be
    /// paused, or the agent stopped. Decides whether the supervisor is waited for any longer.
    /// `supervisor` is its process id on this machine, if it was seen.
    fn stalled(&mut self, supervisor: Option<u32>) -> Stall {
        let _ = supervisor;
        Stall::Wait
    }

    /// Called if the container has no room for a supervisor and a command. The command has not run,
    /// and the call returns this error, or one that says so.
    fn no_room(&mut self) -> Option<Error> {
        None
    }

    /// Ends what still runs of a command whose supervisor was killed or does not answer, and
    /// returns what became of it. `supervisor` is its process id on this machine, if it was seen.
    /// `grace` is the time between TERM and KILL. The output of the command goes on moving inside
    /// `pause`, which takes some milliseconds.
    ///
    /// `None` if nobody can look: the outcome is `Lost`, or an `Unknown` report, without a look.
    fn end_orphans(
        &mut self,
        supervisor: Option<u32>,
        grace: Duration,
        pause: &mut dyn FnMut(),
    ) -> Option<KillReport> {
        let _ = (supervisor, grace, pause);
        None
    }
}

/// What to do about a supervisor that reports nothing.
#[derive(Debug)]
pub enum Stall {
    /// Wait on: the machine is busy.
    Wait,
    /// Wait no longer. A command that has not begun is withdrawn, and given to another agent.
    Replace,
    /// Wait no longer. A command that has not begun is withdrawn, and the call returns this error.
    GiveUp(Error),
}
