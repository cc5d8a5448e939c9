//! What came of a command whose client has left: a code, a failure of podman's, or nothing that anybody can know.
//!
//! podman uses 125, 126, 127 and 255 for failures of its own, and so may the command; 137 and 255 may be the command's end
//! or the container's; and every code may be that of a client that somebody else has ended. So a code counts where the
//! host has seen the command return it, and otherwise after one more question to podman.

use std::thread;
use std::time::{Duration, Instant};

use rt_process::{ExitStatus, Finished, Process};
use rt_protocol::ExitOutcome;

use super::events::LogEnd;
use super::target::ExecTarget;
use super::witness::{Evidence, ExecWitness};
use crate::cli::failure::Failure;
use crate::state::target::Target;

/// How long the records of commands that ran beside this one may take to be told from its own.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);
/// From look to look.
const STEP: Duration = Duration::from_millis(20);

/// What is known when the client has left.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) container: &'a Target,
    pub(crate) target: &'a ExecTarget,
    pub(crate) witness: &'a mut ExecWitness,
    /// The client.
    pub(crate) process: &'a Process<'a>,
    /// Where podman's log of events ended before.
    pub(crate) log: &'a LogEnd,
    pub(crate) finished: &'a Finished,
    /// What podman's last words mean, where the client's code is one of podman's own.
    pub(crate) said: Option<Failure>,
    /// No other exec of this runtime ran meanwhile.
    pub(crate) alone: bool,
}

/// What came of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This.
    Outcome(ExitOutcome),
    /// podman has refused it or failed; no process of it has begun.
    Refused(Failure),
    /// podman failed on the way: what may run has to be ended.
    Failed(Failure),
    /// Somebody has ended the client: what may run has to be ended.
    Interrupted,
}

impl Facts<'_> {
    pub(crate) fn judge(mut self) -> Verdict {
        let bytes = self.finished.stdout.bytes + self.finished.stderr.bytes;
        let evidence = self.witness.evidence(bytes);
        let code = match self.finished.status {
            Some(ExitStatus::Code(code)) => Some(code),
            Some(ExitStatus::Signal(_)) | None => None,
        };
        tracing::debug!(container = %self.container.name(), ?code, ?evidence, said = ?self.said, "the client of an exec has left");
        // The client's own status may have been taken by somebody else in this program.
        let is_silent = self.finished.status.is_none();
        if let Evidence::Returned(returned) = evidence
            && (code == Some(returned) || is_silent)
        {
            return Verdict::Outcome(self.unless_gone(returned));
        }
        // podman itself writes nothing to stdout: whoever did has run.
        let refused = self.said.filter(|_| self.finished.stdout.bytes == 0);
        match (evidence, code, refused) {
            (Evidence::NoRecord, Some(125), None) => Verdict::Refused(Failure::Other),
            // Words are sure only where they name the reason: a conmon that died may have left the command to begin.
            (Evidence::NotStarted, Some(_), Some(failure @ (Failure::Other | Failure::Removed))) => {
                Verdict::Failed(failure)
            }
            (Evidence::NoRecord | Evidence::NotStarted, Some(_), Some(failure)) => Verdict::Refused(failure),
            (Evidence::NoRecord | Evidence::NotStarted, ..) => Verdict::Interrupted,
            (_, None, _) => self.lost_or_interrupted(),
            (_, Some(code), _) if self.witness.can_see() => self.ask_for_record(code, refused),
            (_, Some(code), _) => self.ask_for_events(code, refused),
        }
    }

    fn unless_gone(&self, code: i32) -> ExitOutcome {
        if matches!(code, 137 | 255) && self.container.has_gone(self.target) {
            return ExitOutcome::Lost;
        }
        ExitOutcome::Code(code)
    }

    /// With the container, everything in it has gone.
    fn lost_or_interrupted(&self) -> Verdict {
        if self.container.has_gone(self.target) {
            return Verdict::Outcome(ExitOutcome::Lost);
        }
        Verdict::Interrupted
    }

    /// A client that has seen the end of its command takes the session off podman's list before it leaves. (Of one that
    /// podman could not start, 4.3 keeps it.)
    fn ask_for_record(&mut self, code: i32, refused: Option<Failure>) -> Verdict {
        let begun = Instant::now();
        let saw_the_end = loop {
            let found = match self.container.inspect_target(self.target, self.container.engine().limits.read)
            {
                Ok(Some(found)) if found.info.state.is_running() => found,
                Ok(_) => return Verdict::Outcome(ExitOutcome::Lost),
                Err(_) => return self.lost_or_interrupted(),
            };
            if self.container.has_gone(self.target) {
                return Verdict::Outcome(ExitOutcome::Lost);
            }
            let saw_the_end = self.witness.saw_the_end(code, &found.exec_ids, self.said.is_some());
            if saw_the_end || !self.witness.is_one_of_several() || begun.elapsed() > SETTLE_LIMIT {
                break saw_the_end;
            }
            thread::sleep(STEP);
            self.witness.look(self.process);
        };
        match refused {
            _ if saw_the_end => Verdict::Outcome(ExitOutcome::Code(code)),
            Some(failure) if !self.witness.has_started() && failure != Failure::Removed => {
                Verdict::Failed(failure)
            }
            _ => Verdict::Interrupted,
        }
    }

    /// Where the host cannot see podman's records, its event log is the witness: it has an entry for each command that was
    /// started, and one for its end.
    fn ask_for_events(&self, code: i32, refused: Option<Failure>) -> Verdict {
        let events = || self.log.since(self.container.engine());
        if let Some(failure) = refused {
            let has_run = match events() {
                Some(events) if events.started == 0 => false,
                Some(events) if !events.ended_with(code) && failure != Failure::Removed => false,
                Some(events) if self.alone && events.started == 1 => true,
                // Said only of a container that was there.
                _ => failure == Failure::Removed || failure == Failure::Other && code != 125,
            };
            if !has_run {
                return Verdict::Refused(failure);
            }
            if self.container.has_gone(self.target) {
                return Verdict::Outcome(ExitOutcome::Lost);
            }
            return Verdict::Outcome(ExitOutcome::Code(code));
        }
        match code {
            // What a client that somebody has ended may say. Without a log nobody can know.
            0..=2 => match events() {
                Some(events) if events.ended_with(code) => Verdict::Outcome(ExitOutcome::Code(code)),
                // podman itself writes nothing to stdout: a log that knows of no command does not keep them.
                Some(events) if events.started == 0 && self.finished.stdout.bytes > 0 => {
                    Verdict::Outcome(ExitOutcome::Code(code))
                }
                Some(events) if events.started == 0 && self.alone => Verdict::Interrupted,
                Some(_) => self.lost_or_interrupted(),
                None if self.log.clock_was_set() => self.lost_or_interrupted(),
                None => Verdict::Outcome(ExitOutcome::Code(code)),
            },
            125 if self.finished.stdout.bytes == 0
                && self.alone
                && events().is_some_and(|events| events.started == 0) =>
            {
                Verdict::Refused(Failure::Other)
            }
            code => Verdict::Outcome(self.unless_gone(code)),
        }
    }
}
