//! Ending a command in a guest, and looking whether it is gone.
//!
//! Closing a channel does not end its command. So the guest's sshd is asked to signal it, which for a user other than root
//! reaches the whole process group within milliseconds; and a script on a channel of its own ends what is left, whatever
//! became of its group, and says what it saw.

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

/// How long the script may take: its grace periods, and a slow guest.
const SCRIPT_LIMIT: Duration = Duration::from_secs(8);

/// How long a command whose processes are gone may take to say so, with the last of its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a login shell may take to become its command.
const BEGIN_LIMIT: Duration = Duration::from_secs(2);

/// From look to look, while nothing of the command shows.
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
    /// Ends it. While its end is waited for, `take_output` takes what it still says: with its output in the way, it could
    /// not end. What came of it until then, and the report.
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
            // Whether it has ended by now or not, it is left next.
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

    /// What script and status say together. Seen from inside, what is over and what never began look alike; the status
    /// tells them apart.
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

    /// With the container, everything in its guest is gone.
    fn has_stopped(&self) -> bool {
        matches!(self.container.inspect(&Until::forever()), Ok(info) if info.as_ref().is_none_or(|info| !info.state.is_running()))
    }

    /// A command shows its marker from the moment on at which the login shell has become it. One that is on its way there
    /// is waited for: it would begin behind the back of a script that has found nothing.
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
            // This connection has no place for it, or is no more.
            None => match self.pool.permit(self.container, self.user, &until) {
                Ok(Ok(permit)) => {
                    self.try_script(&permit, &until).unwrap_or_else(|| no_look("it takes no more channels"))
                }
                Ok(Err(_)) => no_look("it gave no answer in time"),
                Err(error) => no_look(&error.to_string()),
            },
        }
    }

    /// The script's answer over this connection; `None` when it never ran there.
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
