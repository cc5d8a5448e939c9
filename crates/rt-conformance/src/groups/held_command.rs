//! A command that was spawned and stays, and what every end of it must leave: with pipes and with a
//! terminal.

use rt_protocol::{Capability, ErrorKind, KillOutcome, RunningCommand};

use crate::ensure::refused;
use crate::timeout::timeout;
use crate::{Need, TestContext, Verdict};

/// A command that runs [`Script::Hold`](crate::Script::Hold) and has begun.
pub(super) struct HeldCommand {
    pub(super) command: RunningCommand,
    /// Its processes are counted by it.
    pub(super) token: u32,
}

impl HeldCommand {
    /// Checks that a kill ends it, and that every later answer agrees.
    pub(super) fn check_kill(mut self, context: &TestContext<'_>) -> Verdict {
        let report = self.command.kill();
        let verified = context.can(Capability::VerifiedKill);
        ensure!(!verified || report.outcome == KillOutcome::Gone, "what became of it: {report}")?;
        ensure!(!report.to_string().is_empty() && report.survivors.is_empty(), "survivors: {report:?}")?;
        let error = refused(self.command.wait(timeout()), ErrorKind::Cancelled)?;
        ensure_eq!(error.kill_report(), Some(&report), "the report of the error")?;
        ensure_eq!(self.command.kill(), report, "the report of a second kill")?;
        if context.has(Need::Processes) {
            ensure_eq!(left(context, self.token)?, 0, "the processes that are left")?;
        }
        Ok(())
    }

    /// Checks that nothing of it is left once it is dropped.
    pub(super) fn check_drop(self, context: &TestContext<'_>) -> Verdict {
        drop(self.command);
        ensure_eq!(left(context, self.token)?, 0, "the processes that are left")
    }
}

/// Checks that a command which writes without end does not succeed once nobody reads its stdout.
pub(super) fn check_dropped_output(mut command: RunningCommand) -> Verdict {
    command.stdout = None;
    match command.wait(timeout()) {
        Ok(result) => ensure!(!result.success(), "it has ended so: {}", result.outcome),
        Err(error) => ensure_eq!(error.kind(), ErrorKind::SinkFailed, "the kind"),
    }
}

fn left(context: &TestContext<'_>, token: u32) -> Result<usize, crate::Failure> {
    TestContext::count(&*context.standing()?, token)
}
