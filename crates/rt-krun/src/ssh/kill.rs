//! Ends a command in a guest, and checks whether it is gone.
//!
//! Closing a channel does not end its command. So the guest's sshd is asked to signal it. For a
//! user other than root this reaches the whole process group within milliseconds. A script on a
//! channel of its own ends what is left, in any process group, and reports what it found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_process::{ExecMarker, RemoteKill};
use rt_protocol::{Container, ExitOutcome, KillOutcome, KillReport, Until};

use super::channel::job::{JobEnd, JobHandle, Ran};
use super::guest_script::GuestScript;
use super::session::SessionPermit;
use super::session::pool::Pool;
use crate::SshUser;

/// How long the script may take, with its grace periods and on a slow guest.
pub(super) const SCRIPT_LIMIT: Duration = Duration::from_secs(8);

/// How long a command may take to report its end and its last output after its processes are gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a login shell may take to become its command.
const BEGIN_LIMIT: Duration = Duration::from_secs(2);

/// The time between two checks while no process of the command is visible.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A command that must end.
pub(super) struct KillJob<'a> {
    pub(super) pool: &'a Arc<Pool>,
    pub(super) container: &'a Arc<dyn Container>,
    pub(super) user: &'a SshUser,
    pub(super) permit: &'a SessionPermit,
    pub(super) handle: &'a JobHandle,
    pub(super) marker: &'a ExecMarker,
}

impl KillJob<'_> {
    /// Ends it and returns the result so far with the report. Meanwhile, `take_output` takes its
    /// remaining output, since a command with blocked output cannot end.
    pub(super) fn end(self, mut take_output: impl FnMut(&Until)) -> (Option<Ran>, KillReport) {
        let begun = Instant::now();
        if self.handle.is_unsent() && self.permit.leave(self.handle) {
            return (None, KillReport::never_started());
        }
        self.permit.signal(self.handle, "TERM");
        let script = self.look_until_it_shows(&mut take_output);
        let until = Until::after(LAST_WORDS);
        if !matches!(&script, RemoteKill::Report(report) if report.outcome == KillOutcome::Alive) {
            take_output(&until);
            // It is abandoned next, whether it has ended or not.
            let _ = self.handle.wait(&until);
        }
        self.permit.leave(self.handle);
        let _ = self.handle.wait(&Until::after(LAST_WORDS));
        let (ran, report) = match self.handle.take_end() {
            Some(JobEnd::Ran(ran)) => {
                let report = self.judge(script, &ran.outcome);
                (Some(ran), report)
            }
            Some(JobEnd::NotStarted(_) | JobEnd::NoAgent(_)) => (None, KillReport::never_started()),
            // Its thread does not answer: a guest keeps it busy.
            None => {
                self.permit.session().cut();
                (None, self.judge(script, &ExitOutcome::Lost))
            }
        };
        (ran, report.with_elapsed(begun.elapsed()))
    }

    /// Combines the results of the script and the status. From inside the guest, a command that has
    /// ended and one that never began look the same. The status distinguishes them.
    fn judge(&self, script: RemoteKill, outcome: &ExitOutcome) -> KillReport {
        match (outcome, &script) {
            (ExitOutcome::Signal(_), RemoteKill::FoundNothing) => return KillReport::gone(1),
            (ExitOutcome::Code(_), RemoteKill::FoundNothing) => return KillReport::gone(0),
            _ => {}
        }
        let report = KillReport::from(script);
        let is_unknown = matches!(report.outcome, KillOutcome::Unknown(_));
        if *outcome == ExitOutcome::Lost && is_unknown && has_stopped(self.container.as_ref()) {
            return KillReport::gone(0);
        }
        report
    }

    /// Waits for a command that is on its way: its processes only have the marker once the login
    /// shell has become the command. Otherwise it could begin after a script that found nothing.
    fn look_until_it_shows(&self, take_output: &mut impl FnMut(&Until)) -> RemoteKill {
        let begun = Instant::now();
        loop {
            let ending = self.run_script();
            if ending != RemoteKill::FoundNothing || begun.elapsed() >= BEGIN_LIMIT {
                return ending;
            }
            let until = Until::after(LOOK_AGAIN);
            take_output(&until);
            if self.handle.wait(&until).is_ok() {
                return ending;
            }
        }
    }

    fn run_script(&self) -> RemoteKill {
        let (pool, permit) = (self.pool, Some(self.permit));
        let script = GuestScript { pool, container: self.container, user: self.user, permit };
        match script.run(RemoteKill::argv(self.marker), &Until::after(SCRIPT_LIMIT)) {
            Ok(said) => RemoteKill::parse(&said),
            Err(why) => {
                RemoteKill::Report(KillReport::unknown(format!("nobody could look in the guest: {why}")))
            }
        }
    }
}

/// When the container is gone, everything in its guest is gone.
pub(super) fn has_stopped(container: &dyn Container) -> bool {
    matches!(container.inspect(&Until::forever()), Ok(info) if info.as_ref().is_none_or(|info| !info.state.is_running()))
}
