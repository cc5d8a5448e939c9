//! The transport over SSH: what a caller sets, what is asked of a guest, and what its answer means.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_process::{Drive, FarEnds, Marker, Output, Streams, Waker, with_bridge};
use rt_protocol::{
    Argv, Capabilities, Capability, Container, ContainerName, ContainerPath, Error, ErrorKind, ExecRequest,
    ExecResult, ExecStdio, ExitOutcome, Fate, InvalidValue, KillReport, OutputStream, Partial, Result,
    StdioResult, Stop, StreamEnd, StreamReport, Until,
};

use super::banner;
use super::host_key::{HostKey, HostKeyPolicy};
use super::identity::IdentityFile;
use super::job::{Job, JobEnd, JobOutput, NotStarted, Ran, Ticket};
use super::kill::Condemned;
use super::login_command::Login;
use super::pool::{ChoosePolicy, Pool, Settings};
use super::remote_command::RemoteCommand;
use super::remote_failure::Tell;
use super::session::{Keeping, Seat};
use super::tcp::Watch;
use crate::{DEFAULT_WORKDIR, EndpointResolver, KrunTransport, SshUser};

const OPERATION: &str = "exec in";

/// Enters guests over SSH, on connections that are kept.
///
/// A command costs one exchange and the guest's own work: connections are kept per container and user, several commands
/// share one, and more are opened as they are needed ([`CONNECTIONS_PER_GUEST`](crate::CONNECTIONS_PER_GUEST),
/// [`CHANNELS_PER_CONNECTION`](crate::CHANNELS_PER_CONNECTION)); beyond that, commands wait for a place. podman and the
/// resolver are asked when a connection is opened, never for a command on one that is kept.
///
/// Each connection has a thread and two descriptors of its own, from its first command until it was idle for
/// [`idle_limit`](TcpSshTransportBuilder::idle_limit), the container is started, stopped or removed through its runtime,
/// or the transport is dropped.
#[derive(Debug)]
pub struct TcpSshTransport {
    pool: Arc<Pool>,
    user: SshUser,
    workdir: Option<ContainerPath>,
    ssh: OsString,
}

/// Says how guests are entered over SSH.
#[must_use = "a builder does nothing until `build` is called"]
pub struct TcpSshTransportBuilder {
    identity: PathBuf,
    resolver: Arc<dyn EndpointResolver>,
    policy: Arc<ChoosePolicy>,
    user: SshUser,
    workdir: Option<ContainerPath>,
    ssh: OsString,
    keeping: Keeping,
}

impl TcpSshTransport {
    /// A transport that logs in with the private key in the file `identity`, at the endpoints that `resolver` finds.
    ///
    /// The user is [`DEFAULT_SSH_USER`](crate::DEFAULT_SSH_USER), commands land in [`DEFAULT_WORKDIR`], and the first host
    /// key that a container shows is pinned, until the builder says otherwise.
    pub fn builder(
        identity: impl Into<PathBuf>,
        resolver: impl EndpointResolver + 'static,
    ) -> TcpSshTransportBuilder {
        TcpSshTransportBuilder {
            identity: identity.into(),
            resolver: Arc::new(resolver),
            policy: Arc::new(|_: &dyn Container| Ok(HostKeyPolicy::first_use())),
            user: SshUser::default(),
            workdir: ContainerPath::new(DEFAULT_WORKDIR).ok(),
            ssh: OsString::from("ssh"),
            keeping: Keeping {
                connect_limit: Duration::from_secs(15),
                keepalive: Duration::from_secs(10),
                idle: Duration::from_secs(300),
            },
        }
    }

    /// The host key that a container has shown first, once it was entered; to be kept beyond this process, see
    /// [`HostKey::known_hosts_line`].
    pub fn host_key(&self, container: &ContainerName) -> Option<HostKey> {
        self.pool.pinned(container)
    }
}

impl TcpSshTransportBuilder {
    /// Who logs in; a request's own [`user`](ExecRequest::user) wins.
    pub fn user(self, user: SshUser) -> Self {
        Self { user, ..self }
    }

    /// Where commands land; `None` is the user's home. A request's own workdir wins.
    pub fn workdir(self, workdir: Option<ContainerPath>) -> Self {
        Self { workdir, ..self }
    }

    /// How every guest proves who it is.
    pub fn host_key_policy(self, policy: HostKeyPolicy) -> Self {
        self.host_key_policy_by(move |_| Ok(policy.clone()))
    }

    /// How the guest of a container proves who it is; asked whenever a connection is made.
    pub fn host_key_policy_by(
        self,
        choose: impl Fn(&dyn Container) -> Result<HostKeyPolicy> + Send + Sync + 'static,
    ) -> Self {
        Self { policy: Arc::new(choose), ..self }
    }

    /// The OpenSSH client that [`login_command`](KrunTransport::login_command) names, `ssh` by default. Commands never
    /// start it.
    pub fn ssh_binary(self, ssh: impl AsRef<OsStr>) -> Self {
        Self { ssh: ssh.as_ref().to_owned(), ..self }
    }

    /// How long the way to a connection may take: TCP, keys, login. 15 s by default.
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.keeping.connect_limit = limit;
        self
    }

    /// After how long without a word a guest with running commands is asked for one; 10 s by default, 2 s at least. Silent
    /// for three times that, it counts as gone, and its commands as [`Lost`](ExitOutcome::Lost).
    pub fn keepalive(mut self, interval: Duration) -> Self {
        self.keeping.keepalive = interval.max(Duration::from_secs(2));
        self
    }

    /// How long a connection without commands is kept, 5 minutes by default.
    pub fn idle_limit(mut self, limit: Duration) -> Self {
        self.keeping.idle = limit;
        self
    }

    /// The transport. Nothing is read, asked or sent yet.
    pub fn build(self) -> TcpSshTransport {
        let settings = Settings {
            identity: IdentityFile::new(self.identity),
            resolver: self.resolver,
            policy: self.policy,
            keeping: self.keeping,
        };
        TcpSshTransport { pool: Pool::new(settings), user: self.user, workdir: self.workdir, ssh: self.ssh }
    }
}

impl fmt::Debug for TcpSshTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSshTransportBuilder")
            .field("identity", &self.identity)
            .field("user", &self.user)
            .field("workdir", &self.workdir)
            .finish_non_exhaustive()
    }
}

impl KrunTransport for TcpSshTransport {
    fn exec(&self, guest: &Arc<dyn Container>, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        let begun = Instant::now();
        let call = Call::new(self, guest, request)?;
        let limits = [request.stdout_limit(), request.stderr_limit()];
        let (seat, ticket) = call.begin(until, || Ok((None, JobOutput::Captured(limits))))?;
        let ran = match ticket.wait(until) {
            Ok(()) => call.ran(ticket.take_end())?,
            Err(stop) => {
                return Err(call.end(&seat, &ticket, Why::Stop(stop), |_| {}, |ran| Some(captured(ran))));
            }
        };
        let outcome = call.judge(&ran)?;
        let [stdout, stderr] = ran.captured;
        Ok(ExecResult::new(outcome, stdout, stderr, begun.elapsed()))
    }

    fn exec_stdio(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult> {
        request.check_bridged().map_err(|error| error.in_container(&guest.key().name))?;
        let call = Call::new(self, guest, request)?;
        let has_stdin = !stdio.stdin.is_empty();
        let streams = Streams {
            stdin: stdio.stdin,
            stdout: Output::Bridge(stdio.stdout),
            stderr: Output::Bridge(stdio.stderr),
        };
        let bridged = with_bridge(streams, |bridge, far| call.bridge(bridge, far, has_stdin, until));
        bridged.map_err(|error| {
            let error = Error::new(ErrorKind::System, OPERATION, error.to_string());
            error
                .with_hint("see whether this process has run out of descriptors or threads")
                .in_container(call.name())
        })?
    }

    fn login_command(&self, guest: &Arc<dyn Container>, command: Option<&Argv>) -> Result<Vec<OsString>> {
        let about = |error: Error| error.during("log in to").in_container(&guest.key().name);
        let host_key = self.key_for_login(guest).map_err(about)?;
        let endpoint = self.pool.settings.resolver.resolve(guest.as_ref()).map_err(about)?;
        let login = Login {
            ssh: &self.ssh,
            endpoint: &endpoint,
            user: &self.user,
            identity: &self.pool.settings.identity,
            host_key: &host_key,
        };
        let shell = Argv::new(["bash", "-l"])?;
        Ok(login.words(RemoteCommand::login(command.unwrap_or(&shell), self.workdir.as_ref())))
    }

    fn wait_until_reachable(&self, guest: &Arc<dyn Container>, until: &Until) -> Result<()> {
        banner::wait(guest.as_ref(), self.pool.settings.resolver.as_ref(), until)
    }

    fn forget(&self, container: &ContainerName) {
        self.pool.forget(container);
    }

    fn removed(&self, container: &ContainerName) {
        self.pool.remove(container);
    }
}

impl TcpSshTransport {
    /// The key that the guest shows now, if it is the right one.
    fn key_for_login(&self, guest: &Arc<dyn Container>) -> Result<HostKey> {
        self.pool.settings.identity.read()?;
        let refused =
            |cause| Error::new(ErrorKind::System, "log in to", "a pipe was refused").with_source(cause);
        let waker = Waker::new().map_err(refused)?;
        let deadline = Instant::now() + self.pool.settings.keeping.connect_limit;
        let watch = Watch { waker: &waker, deadline, is_called_off: &|| false };
        self.pool.learn_host_key(guest.as_ref(), &watch)
    }
}

/// Why a command was ended before it ended by itself.
enum Why {
    Stop(Stop),
    Source(std::io::Error),
    Sink(OutputStream, std::io::Error),
}

/// One exec on its way.
struct Call<'a> {
    transport: &'a TcpSshTransport,
    guest: &'a Arc<dyn Container>,
    request: &'a ExecRequest,
    user: SshUser,
    marker: Marker,
}

impl<'a> Call<'a> {
    fn new(
        transport: &'a TcpSshTransport,
        guest: &'a Arc<dyn Container>,
        request: &'a ExecRequest,
    ) -> Result<Self> {
        let user = match request.user() {
            None => transport.user.clone(),
            Some(user) if user.as_str().contains(':') => {
                let missing = Capabilities::none().with(Capability::ExecUser);
                return Err(Error::unsupported(OPERATION, missing)
                    .in_container(&guest.key().name)
                    .with_hint("SSH logs a user in with the user's own groups; leave the group out"));
            }
            Some(user) => SshUser::new(user.as_str())
                .map_err(|refused| Error::from(refused).during(OPERATION).in_container(&guest.key().name))?,
        };
        Ok(Self { transport, guest, request, user, marker: Marker::fresh() })
    }

    fn name(&self) -> &ContainerName {
        &self.guest.key().name
    }

    fn about(&self, error: Error) -> Error {
        error.in_container(self.name())
    }

    /// Has the command begin: on a connection that takes it. A connection that was kept and turns out to be dead before
    /// the request was sent is replaced, once.
    fn begin(
        &self,
        until: &Until,
        mut streams: impl FnMut() -> std::io::Result<(Option<std::os::fd::OwnedFd>, JobOutput)>,
    ) -> Result<(Seat, Ticket)> {
        let pool = &self.transport.pool;
        let mut is_replaced = false;
        loop {
            until.check().map_err(|stop| self.never_started(stop))?;
            let seat = pool.seat(self.guest, &self.user, until)?.map_err(|stop| self.never_started(stop))?;
            let ticket = Ticket::default();
            let job = self.job(&ticket, streams().map_err(|cause| self.no_pipe(cause))?)?;
            tracing::debug!(
                target: "rt_krun",
                operation = OPERATION,
                container = %self.name(),
                program = %self.request.argv().program().to_string_lossy(),
                arguments = self.request.argv().len() - 1,
                timeout = ?until.remaining(),
                "a command goes to a guest"
            );
            seat.post(job);
            if let Err(stop) = ticket.wait_for_begin(until) {
                if seat.leave(&ticket) {
                    return Err(self.never_started(stop));
                }
                return Ok((seat, ticket));
            }
            match ticket.take_not_started() {
                None => return Ok((seat, ticket)),
                Some(NotStarted::Full) => {}
                Some(NotStarted::ConnectionDied) if !is_replaced => is_replaced = true,
                Some(NotStarted::ConnectionDied | NotStarted::Left) => {
                    return Err(self.about(
                        Error::new(
                            ErrorKind::Unreachable,
                            OPERATION,
                            "its connections end before a command begins",
                        )
                        .with_hint("see the log of the guest's sshd")
                        .with_kill_report(never_started()),
                    ));
                }
                Some(NotStarted::Refused(error)) => {
                    return Err(self.explain(error, until).with_kill_report(never_started()));
                }
            }
        }
    }

    fn job(
        &self,
        ticket: &Ticket,
        (stdin, output): (Option<std::os::fd::OwnedFd>, JobOutput),
    ) -> Result<Job> {
        let tell = Tell::fresh();
        let refused = |refused: InvalidValue| self.about(Error::from(refused).during(OPERATION));
        let remote = RemoteCommand::new(self.request, self.transport.workdir.as_ref(), &self.marker, &tell)
            .map_err(refused)?;
        Ok(Job { text: remote.text, preamble: remote.preamble, tell, stdin, output, claim: ticket.claim() })
    }

    fn bridge(
        &self,
        bridge: &mut rt_process::Bridge<'_>,
        far: FarEnds,
        has_stdin: bool,
        until: &Until,
    ) -> Result<StdioResult> {
        let begun = Instant::now();
        let copies = || {
            let stdin = far.stdin.as_ref().map(std::os::fd::OwnedFd::try_clone).transpose()?;
            Ok((stdin, JobOutput::Piped([far.stdout.try_clone()?, far.stderr.try_clone()?])))
        };
        let (seat, ticket) = self.begin(until, copies)?;
        // From here on the connection alone holds the far ends, and their closing says that it is done with them.
        drop(far);
        let drive = bridge.drive(until);
        let why = match drive {
            Drive::Finished => None,
            Drive::Stopped(stop) => Some(Why::Stop(stop)),
            Drive::SourceFailed(error) => Some(Why::Source(error)),
            Drive::SinkFailed(stream, error) => Some(Why::Sink(stream, error)),
        };
        if let Some(why) = why {
            let take_output = |until: &Until| {
                // However it ends, the bridge is closed next.
                let _: Drive = bridge.drive(until);
            };
            let error = self.end(&seat, &ticket, why, take_output, |_| None);
            let moved = bridge.finish();
            let partial = Partial::Streams { stdin: moved.stdin, stdout: moved.stdout, stderr: moved.stderr };
            return Err(error.with_partial(partial));
        }
        // The outputs are closed a moment before the job is declared over.
        let _ = ticket.wait(&Until::forever());
        let ran = self.ran(ticket.take_end())?;
        let outcome = self.judge(&ran)?;
        let moved = bridge.finish();
        let output = |report: StreamReport| StreamReport::new(report.bytes, ran.output_end);
        Ok(StdioResult::new(
            outcome,
            stdin_report(has_stdin, &ran),
            output(moved.stdout),
            output(moved.stderr),
            begun.elapsed(),
        ))
    }

    fn ran(&self, end: Option<JobEnd>) -> Result<Ran> {
        match end {
            Some(JobEnd::Ran(ran)) => Ok(ran),
            Some(JobEnd::NotStarted(NotStarted::Refused(error))) => Err(self.about(error)),
            Some(JobEnd::NotStarted(_)) | None => Err(self.about(
                Error::new(
                    ErrorKind::Unreachable,
                    OPERATION,
                    "the connection ended before the command began",
                )
                .with_kill_report(never_started()),
            )),
        }
    }

    /// What the guest's answer means: the shell's own tell first.
    fn judge(&self, ran: &Ran) -> Result<ExitOutcome> {
        match ran.failure {
            Some(failure) => Err(failure.into_error(OPERATION, self.name(), self.request)),
            None => Ok(ran.outcome.clone()),
        }
    }

    /// Ends the command, and makes the error of it.
    fn end(
        &self,
        seat: &Seat,
        ticket: &Ticket,
        why: Why,
        take_output: impl FnMut(&Until),
        partial: impl FnOnce(Ran) -> Option<Partial>,
    ) -> Error {
        let condemned = Condemned {
            pool: &self.transport.pool,
            container: self.guest,
            user: &self.user,
            seat,
            ticket,
            marker: &self.marker,
        };
        let (ran, report) = condemned.end(take_output);
        tracing::debug!(target: "rt_krun", container = %self.name(), %report, "a command was ended");
        let error = match why {
            Why::Stop(stop) => Error::stopped(stop, OPERATION),
            Why::Source(cause) => Error::source_failed(OPERATION, cause),
            Why::Sink(stream, cause) => Error::sink_failed(OPERATION, stream, cause),
        };
        let error = self.about(error).with_hint(report.fate.advice()).with_kill_report(report);
        match ran.and_then(partial) {
            Some(partial) => error.with_partial(partial),
            None => error,
        }
    }

    fn never_started(&self, stop: Stop) -> Error {
        let report = never_started();
        self.about(Error::stopped(stop, OPERATION)).with_hint(report.fate.advice()).with_kill_report(report)
    }

    fn no_pipe(&self, cause: std::io::Error) -> Error {
        self.about(Error::new(ErrorKind::System, OPERATION, "a pipe was refused").with_source(cause))
    }

    /// An sshd says the same of a user that is unknown and of one whose key it refuses. Whom the request names, and who is
    /// not the transport's own user, the guest itself is asked about.
    fn explain(&self, error: Error, until: &Until) -> Error {
        let error = self.about(error);
        if error.kind() != ErrorKind::AuthenticationRefused || self.user == self.transport.user {
            return error;
        }
        let Ok(question) = ExecRequest::builder(["id", "-u", self.user.as_str()]).workdir("/").build() else {
            return error;
        };
        match self.transport.exec(self.guest, &question, until) {
            Ok(answer) if answer.outcome == ExitOutcome::Code(1) => self.about(
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

fn never_started() -> KillReport {
    KillReport::new(Fate::NeverStarted, 0, Vec::new(), Duration::ZERO)
}

fn captured(ran: Ran) -> Partial {
    let [stdout, stderr] = ran.captured;
    Partial::Output { stdout, stderr }
}

fn stdin_report(has_stdin: bool, ran: &Ran) -> StreamReport {
    let end = match (has_stdin, ran.stdin_ended) {
        (false, _) => StreamEnd::Unused,
        (true, true) => StreamEnd::Eof,
        (true, false) => StreamEnd::ReaderGone,
    };
    StreamReport::new(ran.stdin_bytes, end)
}
