//! The result of a command whose client has exited: an exit code, a failure of podman, or unknown.
//!
//! podman uses 125, 126, 127 and 255 for its own failures, and the command may use them too. 137
//! and 255 may be the command's end or the container's. And every exit code may be that of a client
//! that another process has ended. So an exit code counts if the host has seen the command return
//! it, and otherwise after one more call of podman.

use std::thread;
use std::time::{Duration, Instant};

use rt_process::{ExitStatus, Finished, Process};
use rt_protocol::ExitOutcome;

use super::events::LogEnd;
use super::target::ExecTarget;
use super::witness::{Evidence, ExecWitness};
use crate::cli::failure::Failure;
use crate::state::target::Target;

/// How long it may take until the records of concurrent commands can be distinguished from this
/// one's.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);
/// The pause between two checks.
const STEP: Duration = Duration::from_millis(20);

/// What is known when the client has exited.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) container: &'a Target,
    pub(crate) target: &'a ExecTarget,
    pub(crate) witness: &'a mut ExecWitness,
    /// The client.
    pub(crate) process: &'a Process<'a>,
    /// Where podman's event log ended before.
    pub(crate) log: &'a LogEnd,
    pub(crate) finished: &'a Finished,
    /// The meaning of podman's last message, if the client's exit code is one of podman's own.
    pub(crate) said: Option<Failure>,
    /// No other exec of this runtime ran meanwhile.
    pub(crate) alone: bool,
    /// The client is one of a podman service.
    pub(crate) is_remote: bool,
}

/// The result of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This outcome.
    Outcome(ExitOutcome),
    /// podman has refused it or failed; none of its processes has started.
    Refused(Failure),
    /// podman failed on the way: what may run must be ended.
    Failed(Failure),
    /// Another process has ended the client: what may run must be ended.
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
        // The client's own status may have been taken by another part of this program.
        let is_silent = self.finished.status.is_none();
        if let Evidence::Returned(returned) = evidence
            && (code == Some(returned) || is_silent)
        {
            return Verdict::Outcome(self.unless_gone(returned));
        }
        // A podman service may lose the reason of a failed start, and its client then says nothing.
        if self.is_remote
            && matches!(evidence, Evidence::NoRecord | Evidence::NotStarted)
            && matches!(code, Some(125..=127))
            && self.said.is_none()
        {
            return Verdict::Failed(Failure::Other);
        }
        // A podman service removes a record at any time, and lists it for minutes. But no signal
        // makes its client exit with a code.
        if let Some(code) = code
            && self.said.is_none()
            && self.witness.reported_code().is_none_or(|reported| reported == code)
            && self.is_remote
        {
            return Verdict::Outcome(self.unless_gone(code));
        }
        // podman itself writes nothing to stdout, so bytes there show that the command ran.
        let refused = self.said.filter(|_| self.finished.stdout.bytes == 0);
        match (evidence, code, refused) {
            (Evidence::NoRecord, Some(125), None) => Verdict::Refused(Failure::Other),
            // A message is proof only if it names the reason: a conmon that died may have let the
            // command start.
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

    /// Asks podman for its list of sessions. A client that has seen the end of its command removes
    /// the session from that list before it exits. (4.3 keeps the session of a command that podman
    /// could not start.)
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

    /// If the host cannot see podman's records, its event log decides: it has an entry for each
    /// command that was started, and one for its end.
    fn ask_for_events(&self, code: i32, refused: Option<Failure>) -> Verdict {
        let events = || self.log.since(self.container.engine());
        if let Some(failure) = refused {
            let has_run = match events() {
                Some(events) if events.started == 0 => false,
                Some(events) if !events.ended_with(code) && failure != Failure::Removed => false,
                Some(events) if self.alone && events.started == 1 => true,
                // Reported only for a container that existed.
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
            // The exit codes of a client that another process may have ended. Without a log nothing
            // more is known.
            0..=2 => match events() {
                Some(events) if events.ended_with(code) => Verdict::Outcome(ExitOutcome::Code(code)),
                // podman itself writes nothing to stdout: a log that has no command does not record
                // them.
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
