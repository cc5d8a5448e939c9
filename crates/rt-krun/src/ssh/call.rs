//! One command on its way to a guest: how it starts, what its end means, and how it is ended early.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rt_podman::ExecPath;
use rt_process::{CommandSlot, ExecMarker, PeerPipes, Streams, with_bridge};
use rt_protocol::{
    Capabilities, Capability, Container, ContainerName, ContainerPath, Error, ErrorKind, ExecRequest,
    ExecResult, ExecStdio, ExitOutcome, Interruption, InvalidValue, KillReport, PartialOutput, Result,
    StdioResult, StreamEnd, StreamReport, Until,
};

use super::channel::job::{Job, JobEnd, JobHandle, JobOutput, NotStarted, Ran};
use super::guest_command::GuestCommand;
use super::kill::KillJob;
use super::raw::terminal_request::TerminalRequest;
use super::session::SessionPermit;
use super::session::pool::Pool;
use super::shell::remote_command::{RemoteCommand, Stdin};
use super::shell::remote_failure::FailureSentinel;
use crate::SshUser;

/// The operation that errors of a command name.
pub(super) const OPERATION: &str = "exec in";

/// What all commands of one transport share.
#[derive(Debug)]
pub(super) struct CallContext {
    pub(super) pool: Arc<Pool>,
    pub(super) user: SshUser,
    pub(super) workdir: Option<ContainerPath>,
    pub(super) exec_path: ExecPath,
}

impl CallContext {
    /// Runs a command on a channel and captures its output.
    pub(super) fn exec(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        until: &Until,
    ) -> Result<ExecResult> {
        let begun = Instant::now();
        let call = Call::new(self, guest, request, false)?;
        let limits = [request.stdout_limit(), request.stderr_limit()];
        let (permit, handle) =
            call.begin(until, |handle| call.job(handle, None, JobOutput::Captured(limits)))?;
        let ran = match handle.wait(until) {
            Ok(()) => call.ran(handle.take_end())?,
            Err(stop) => {
                let (ran, report) = call.end(&permit, &handle, |_| {});
                let partial = ran.map_or_else(|| PartialOutput::nothing(false), captured);
                return Err(call.interrupted(stop.into(), report, partial));
            }
        };
        let outcome = call.judge(&ran)?;
        let [stdout, stderr] = ran.captured;
        Ok(ExecResult::new(outcome, stdout, stderr, begun.elapsed()))
    }

    /// Runs a command on a channel with its streams bridged. Other threads signal it by `slot`.
    pub(super) fn exec_stdio(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        slot: Option<&CommandSlot<GuestCommand>>,
        until: &Until,
    ) -> Result<StdioResult> {
        let call = Call::new(self, guest, request, true)?;
        let has_stdin = !stdio.stdin.is_empty();
        stdio.bridge(request, |stdio| {
            let bridged = with_bridge(Streams::bridged(stdio), |bridge, far| {
                call.bridge(bridge, far, has_stdin, slot, until)
            });
            bridged.map_err(|error| call.with_container(error.of_streams(OPERATION)))?
        })
    }
}

/// One exec on its way.
pub(super) struct Call<'a> {
    pub(super) context: &'a CallContext,
    guest: &'a Arc<dyn Container>,
    request: &'a ExecRequest,
    is_bridged: bool,
    pub(super) user: SshUser,
    pub(super) marker: ExecMarker,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        context: &'a CallContext,
        guest: &'a Arc<dyn Container>,
        request: &'a ExecRequest,
        is_bridged: bool,
    ) -> Result<Self> {
        let user = match request.user() {
            None => context.user.clone(),
            Some(user) if user.as_str().contains(':') => {
                let missing = Capabilities::none().with(Capability::ExecUser);
                return Err(Error::unsupported(OPERATION, missing)
                    .in_container(&guest.key().name)
                    .with_hint("SSH logs a user in with the user's own groups; leave the group out"));
            }
            Some(user) => SshUser::new(user.as_str())
                .map_err(|refused| Error::from(refused).during(OPERATION).in_container(&guest.key().name))?,
        };
        Ok(Self { context, guest, request, is_bridged, user, marker: ExecMarker::fresh() })
    }

    pub(super) fn name(&self) -> &ContainerName {
        &self.guest.key().name
    }

    pub(super) fn with_container(&self, error: Error) -> Error {
        error.in_container(self.name())
    }

    /// Starts a job on a connection that accepts it. If a kept connection turns out to be dead
    /// before the request was sent, it is replaced, once.
    pub(super) fn begin(
        &self,
        until: &Until,
        mut new_job: impl FnMut(&JobHandle) -> Result<Job>,
    ) -> Result<(SessionPermit, JobHandle)> {
        let pool = &self.context.pool;
        let mut is_replaced = false;
        loop {
            until.check().map_err(|stop| self.not_started(Error::stopped(stop, OPERATION)))?;
            let permit = pool
                .permit(self.guest, &self.user, until)?
                .map_err(|stop| self.not_started(Error::stopped(stop, OPERATION)))?;
            let handle = JobHandle::default();
            let job = new_job(&handle)?;
            tracing::debug!(
                target: "rt_krun",
                operation = OPERATION,
                container = %self.name(),
                program = %self.request.argv().program().to_string_lossy(),
                arguments = self.request.argv().len() - 1,
                timeout = ?until.remaining(),
                "a command goes to a guest"
            );
            permit.post(job);
            if let Err(stop) = handle.wait_for_begin(until) {
                if permit.leave(&handle) {
                    return Err(self.not_started(Error::stopped(stop, OPERATION)));
                }
                return Ok((permit, handle));
            }
            match handle.take_not_started() {
                None => return Ok((permit, handle)),
                Some(NotStarted::Full) => {}
                Some(NotStarted::ConnectionDied) if !is_replaced => is_replaced = true,
                Some(NotStarted::ConnectionDied | NotStarted::Left) => {
                    return Err(self.not_started(connections_end()));
                }
                Some(NotStarted::Refused(error)) => {
                    return Err(self.not_started(self.explain(error, until)));
                }
            }
        }
    }

    fn job(&self, handle: &JobHandle, stdin: Option<OwnedFd>, output: JobOutput) -> Result<Job> {
        let sentinel = FailureSentinel::fresh();
        let refused = |refused: InvalidValue| self.with_container(Error::from(refused).during(OPERATION));
        let terminal = TerminalRequest::of(self.request);
        let kind = match (&terminal, &stdin) {
            (Some(_), _) => Stdin::Terminal,
            (None, Some(_)) => Stdin::Piped,
            (None, None) => Stdin::Empty,
        };
        let workdir = self.context.workdir.as_ref();
        let command =
            RemoteCommand::new(self.request, workdir, kind, &self.marker, &sentinel).map_err(refused)?;
        Ok(Job { command, sentinel, terminal, stdin, output, guard: handle.guard() })
    }

    fn bridge(
        &self,
        bridge: &mut rt_process::Bridge<'_>,
        far: PeerPipes,
        has_stdin: bool,
        slot: Option<&CommandSlot<GuestCommand>>,
        until: &Until,
    ) -> Result<StdioResult> {
        let begun = Instant::now();
        let copies = || -> std::io::Result<_> {
            let stdin = far.stdin.as_ref().map(OwnedFd::try_clone).transpose()?;
            Ok((stdin, JobOutput::Piped([far.stdout.try_clone()?, far.stderr.try_clone()?])))
        };
        let (permit, handle) = self.begin(until, |handle| {
            let (stdin, output) = copies().map_err(|cause| self.no_pipe(cause))?;
            self.job(handle, stdin, output)
        })?;
        // From here on only the connection holds the far ends. It closes them when it is done with
        // them.
        drop(far);
        let permit = Arc::new(permit);
        if let Some(slot) = slot {
            slot.start(GuestCommand {
                permit: Arc::clone(&permit),
                handle: handle.clone(),
                marker: self.marker.clone(),
                user: self.user.clone(),
            });
        }
        if let Err(interruption) = bridge.drive(until) {
            // However it ends, the bridge is closed next.
            let take_output = |until: &Until| drop(bridge.drive(until));
            let (_, report) = self.end(&permit, &handle, take_output);
            let moved = bridge.finish();
            // The connection closed the outputs, not the command.
            let stopped = |report: StreamReport| match report.end {
                StreamEnd::Eof => report.with_end(StreamEnd::Stopped),
                _ => report,
            };
            let (stdout, stderr) = (stopped(moved.stdout), stopped(moved.stderr));
            let partial = PartialOutput::Streams { stdin: moved.stdin, stdout, stderr };
            return Err(self.interrupted(interruption, report, partial));
        }
        // The outputs are closed a moment before the job is marked as done.
        let _ = handle.wait(&Until::forever());
        let ran = self.ran(handle.take_end())?;
        let outcome = self.judge(&ran)?;
        let moved = bridge.finish();
        let output = |report: StreamReport| report.with_end(ran.output_end);
        Ok(StdioResult::new(
            outcome,
            stdin_report(has_stdin, &ran),
            output(moved.stdout),
            output(moved.stderr),
            begun.elapsed(),
        ))
    }

    pub(super) fn ran(&self, end: Option<JobEnd>) -> Result<Ran> {
        match end {
            Some(JobEnd::Ran(ran)) => Ok(ran),
            Some(JobEnd::NotStarted(NotStarted::Refused(error))) => Err(self.not_started(error)),
            Some(JobEnd::NotStarted(_) | JobEnd::NoAgent(_)) | None => Err(self.not_started(Error::new(
                ErrorKind::Unreachable,
                OPERATION,
                "the connection ended before the command began",
            ))),
        }
    }

    /// Interprets the guest's answer, the shell's own sentinel first.
    pub(super) fn judge(&self, ran: &Ran) -> Result<ExitOutcome> {
        match ran.failure {
            Some(failure) => {
                let workdir = self.request.workdir().or(self.context.workdir.as_ref());
                let error = failure.into_error(OPERATION, self.name(), self.request, workdir);
                Err(error.of_command(self.request.argv()))
            }
            // The sentinel may be missing.
            None if !ran.has_begun && ran.output_end == StreamEnd::Stopped => Ok(ExitOutcome::Lost),
            None if !ran.has_begun && ran.outcome != ExitOutcome::Lost => Err(self.not_started(
                Error::new(
                    ErrorKind::BackendFailed,
                    OPERATION,
                    format!("the login shell ended before the command began ({})", ran.outcome),
                )
                .with_hint("see the user's start-up files, ~/.ssh/rc and sshd's ForceCommand"),
            )),
            None => Ok(ran.outcome.clone()),
        }
    }

    /// Ends the command. Returns what came of it until then, if it ran, and the report.
    fn end(
        &self,
        permit: &SessionPermit,
        handle: &JobHandle,
        take_output: impl FnMut(&Until),
    ) -> (Option<Ran>, KillReport) {
        let kill_job = KillJob {
            pool: &self.context.pool,
            container: self.guest,
            user: &self.user,
            permit,
            handle,
            marker: &self.marker,
        };
        let (ran, report) = kill_job.end(take_output);
        tracing::debug!(target: "rt_krun", container = %self.name(), %report, "a command was ended");
        (ran, report)
    }

    fn interrupted(&self, interruption: Interruption, report: KillReport, partial: PartialOutput) -> Error {
        self.with_container(interruption.into_error(OPERATION)).of_ended_command(report, partial)
    }

    pub(super) fn not_started(&self, error: Error) -> Error {
        self.with_container(error).of_unstarted_command(self.is_bridged)
    }

    fn no_pipe(&self, cause: std::io::Error) -> Error {
        self.with_container(Error::out_of_resources(OPERATION, "a pipe was refused").with_source(cause))
    }

    /// Adds whether the user exists: an sshd gives the same answer for an unknown user and for a
    /// refused key. If the request names a user other than the transport's own, the guest is asked.
    fn explain(&self, error: Error, until: &Until) -> Error {
        let error = self.with_container(error);
        if error.kind() != ErrorKind::AuthenticationRefused || self.user == self.context.user {
            return error;
        }
        let Ok(question) = ExecRequest::builder(["id", "-u", self.user.as_str()]).workdir("/").build() else {
            return error;
        };
        match self.context.exec(self.guest, &question, until) {
            Ok(answer) if answer.outcome == ExitOutcome::Code(1) => self.with_container(
                Error::new(
                    ErrorKind::UnknownUser,
                    OPERATION,
                    format!("the guest has no user `{}`", self.user),
                )
                .with_hint("name a user of the guest"),
            ),
            _ => error,
        }
    }
}

/// Returns the error of a guest whose connections end before anything runs on them.
pub(super) fn connections_end() -> Error {
    Error::new(ErrorKind::Unreachable, OPERATION, "its connections end before a command begins").with_hint(
        "see the log of the guest's sshd; a server that has one channel for each connection, as TinySSH does, is not \
         served",
    )
}

fn captured(ran: Ran) -> PartialOutput {
    let [stdout, stderr] = ran.captured;
    PartialOutput::Output { stdout, stderr }
}

fn stdin_report(has_stdin: bool, ran: &Ran) -> StreamReport {
    let end = match (has_stdin, ran.stdin_ended) {
        (false, _) => StreamEnd::Unused,
        (true, true) => StreamEnd::Eof,
        (true, false) => StreamEnd::ReaderGone,
    };
    StreamReport::new(ran.stdin_bytes, end)
}

#[cfg(test)]
mod tests {
    use rt_podman::PodmanRuntime;
    use rt_protocol::ContainerRuntime;

    use super::*;
    use crate::{TcpEndpoint, TcpSshTransport};

    #[test]
    fn what_a_guest_refuses_to_run_is_told_never_to_have_started() {
        let transport =
            TcpSshTransport::builder("/no/such", |_: &dyn Container| Ok(TcpEndpoint::on_loopback(1)?))
                .build();
        let podman = PodmanRuntime::builder().binary("/bin/true").build().unwrap();
        let guest = podman.container(&ContainerName::new("vm").unwrap());
        let request = ExecRequest::new(["true"]).unwrap();
        let call = Call::new(&transport.context, &guest, &request, false).unwrap();
        let refusal =
            Error::new(ErrorKind::BackendFailed, OPERATION, "the guest's sshd refuses to run commands");
        let error = call.ran(Some(JobEnd::NotStarted(NotStarted::Refused(refusal)))).unwrap_err();
        assert!(error.never_started(), "{error:?}");
        assert_eq!(error.subject(), Some("container `vm`"));
    }
}
