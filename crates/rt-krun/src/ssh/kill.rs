//! Ends a command in a guest, and checks whether it is gone.
//!
//! Closing a channel does not end its command. So the guest's sshd is asked to signal it. For a
//! user other than root this reaches the whole process group within milliseconds. A script on a
//! channel of its own ends what is left, in any process group, and reports what it found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_process::{ExecMarker, RemoteKill};
use rt_protocol::{Container, ExecRequest, ExitOutcome, KillOutcome, KillReport, OutputLimit, Until};

use super::channel::job::{Job, JobEnd, JobHandle, JobOutput, NotStarted, Ran};
use super::session::SessionPermit;
use super::session::pool::Pool;
use super::shell::remote_command::{RemoteCommand, Stdin};
use super::shell::remote_failure::FailureSentinel;
use crate::SshUser;

/// How long the script may take, with its grace periods and on a slow guest.
const SCRIPT_LIMIT: Duration = Duration::from_secs(8);

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
            Some(JobEnd::NotStarted(_)) => (None, KillReport::never_started()),
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
        if *outcome == ExitOutcome::Lost && is_unknown && self.has_stopped() {
            return KillReport::gone(0);
        }
        report
    }

    /// When the container is gone, everything in its guest is gone.
    fn has_stopped(&self) -> bool {
        matches!(self.container.inspect(&Until::forever()), Ok(info) if info.as_ref().is_none_or(|info| !info.state.is_running()))
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
        let until = Until::after(SCRIPT_LIMIT);
        match self.try_script(self.permit, &until) {
            Some(ending) => ending,
            // This connection has no free channel, or has ended.
            None => match self.pool.permit(self.container, self.user, &until) {
                Ok(Ok(permit)) => {
                    self.try_script(&permit, &until).unwrap_or_else(|| no_look("it takes no more channels"))
                }
                Ok(Err(_)) => no_look("it gave no answer in time"),
                Err(error) => no_look(&error.to_string()),
            },
        }
    }

    /// Returns the script's result over this connection; `None` if it never ran there.
    fn try_script(&self, permit: &SessionPermit, until: &Until) -> Option<RemoteKill> {
        let request = match ExecRequest::new(RemoteKill::argv(self.marker)) {
            Ok(request) => request,
            Err(refused) => return Some(no_look(&refused.to_string())),
        };
        let sentinel = FailureSentinel::fresh();
        let command = match RemoteCommand::new(&request, None, Stdin::Empty, &ExecMarker::fresh(), &sentinel)
        {
            Ok(command) => command,
            Err(refused) => return Some(no_look(&refused.to_string())),
        };
        let handle = JobHandle::default();
        permit.post(Job {
            command,
            sentinel,
            stdin: None,
            output: JobOutput::Captured([OutputLimit::bytes(256 << 10), OutputLimit::bytes(4 << 10)]),
            guard: handle.guard(),
        });
        if handle.wait(until).is_err() {
            permit.leave(&handle);
            return Some(no_look("it gave no answer in time"));
        }
        match handle.take_end()? {
            JobEnd::Ran(ran) if ran.outcome == ExitOutcome::Lost => {
                Some(no_look("the connection to it was lost"))
            }
            JobEnd::Ran(ran) if ran.failure.is_some() => Some(no_look("it has no `sh`")),
            JobEnd::Ran(ran) if !ran.has_begun => Some(no_look("its login shell ran no script")),
            JobEnd::Ran(ran) => Some(RemoteKill::parse(&ran.captured[0].text())),
            JobEnd::NotStarted(NotStarted::Refused(error)) => Some(no_look(&error.to_string())),
            JobEnd::NotStarted(NotStarted::Full | NotStarted::ConnectionDied | NotStarted::Left) => None,
        }
    }
}

fn no_look(why: &str) -> RemoteKill {
    RemoteKill::Report(KillReport::unknown(format!("nobody could look in the guest: {why}")))
}
