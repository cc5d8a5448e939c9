//! A script of this crate in a guest, beside a command.

use std::sync::Arc;

use rt_process::ExecMarker;
use rt_protocol::{Container, ExecRequest, ExitOutcome, OutputLimit, Until};

use super::channel::job::{Job, JobEnd, JobHandle, JobOutput, NotStarted};
use super::session::SessionPermit;
use super::session::pool::Pool;
use super::shell::remote_command::{RemoteCommand, Stdin};
use super::shell::remote_failure::FailureSentinel;
use crate::SshUser;

/// How many connections are tried.
const MOST_CONNECTIONS: u32 = 3;

/// Where a script runs: on the connection of the permit, or on another one of the same user if
/// there is none, or if that has no free channel or has ended.
#[derive(Debug)]
pub(super) struct GuestScript<'a> {
    pub(super) pool: &'a Arc<Pool>,
    pub(super) container: &'a Arc<dyn Container>,
    pub(super) user: &'a SshUser,
    pub(super) permit: Option<&'a SessionPermit>,
}

impl GuestScript<'_> {
    /// Runs the script and returns its stdout.
    ///
    /// # Errors
    /// Why nothing is known of it.
    pub(super) fn run<const WORDS: usize>(
        &self,
        argv: [String; WORDS],
        until: &Until,
    ) -> Result<String, String> {
        let request = ExecRequest::new(argv).map_err(|refused| refused.to_string())?;
        if let Some(permit) = self.permit
            && let Some(answer) = try_on(permit, &request, until)
        {
            return answer;
        }
        // One that turns out to have no channel is not offered again.
        for _ in 0..MOST_CONNECTIONS {
            match self.pool.permit(self.container, self.user, until) {
                Ok(Ok(permit)) => {
                    if let Some(answer) = try_on(&permit, &request, until) {
                        return answer;
                    }
                }
                Ok(Err(_)) => return Err(String::from("it gave no answer in time")),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(String::from("it takes no more channels"))
    }
}

/// Returns the script's stdout over this connection; `None` if it never ran there.
fn try_on(permit: &SessionPermit, request: &ExecRequest, until: &Until) -> Option<Result<String, String>> {
    let unknown = |why: &str| Some(Err(String::from(why)));
    let sentinel = FailureSentinel::fresh();
    let command = RemoteCommand::new(request, None, Stdin::Empty, &ExecMarker::fresh(), &sentinel);
    let command = match command {
        Ok(command) => command,
        Err(refused) => return unknown(&refused.to_string()),
    };
    let handle = JobHandle::default();
    permit.post(Job {
        command,
        sentinel,
        terminal: None,
        stdin: None,
        output: JobOutput::Captured([OutputLimit::bytes(256 << 10), OutputLimit::bytes(4 << 10)]),
        guard: handle.guard(),
    });
    if handle.wait(until).is_err() {
        permit.leave(&handle);
        return unknown("it gave no answer in time");
    }
    match handle.take_end()? {
        JobEnd::Ran(ran) if ran.outcome == ExitOutcome::Lost => unknown("the connection to it was lost"),
        JobEnd::Ran(ran) if ran.failure.is_some() => unknown("it has no `sh`"),
        JobEnd::Ran(ran) if !ran.has_begun => unknown("its login shell ran no script"),
        JobEnd::Ran(ran) => Some(Ok(ran.captured[0].text().into_owned())),
        JobEnd::NotStarted(NotStarted::Refused(error)) => unknown(&error.to_string()),
        JobEnd::NotStarted(NotStarted::Full | NotStarted::ConnectionDied | NotStarted::Left)
        | JobEnd::NoAgent(_) => None,
    }
}
