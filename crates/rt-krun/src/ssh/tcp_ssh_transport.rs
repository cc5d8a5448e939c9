//! The transport over SSH: its settings and operations. A `call` is one command.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_podman::{ColdReason, ExecPath, Warmth};
use rt_protocol::sync::Waker;
use rt_protocol::{
    Argv, Capabilities, Capability, CommandControl, CommandStreams, Container, ContainerName, ContainerPath,
    Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, Result, StdioResult, Until,
};

use super::auth::host_key::{HostKey, HostKeyPolicy};
use super::auth::identity::IdentityFile;
use super::call::CallContext;
use super::exec;
use super::login_command::Login;
use super::session::banner;
use super::session::pool::{ChoosePolicy, Pool, Settings};
use super::session::shared_session::SessionConfig;
use super::session::tcp::Watch;
use super::shell::remote_command::RemoteCommand;
use crate::{DEFAULT_WORKDIR, EndpointResolver, KrunTransport, SshUser};

/// The longest limit: ten years. Longer ones have the same effect, and clocks could not represent
/// them.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Runs commands in guests over SSH, on kept connections.
///
/// A command costs one exchange and the guest's own work. Connections are kept for each container
/// and user. All commands of an agent share one; on channels, several do. More are opened if
/// needed, up to
/// [`CONNECTIONS_PER_GUEST`](crate::CONNECTIONS_PER_GUEST) with
/// [`CHANNELS_PER_CONNECTION`](crate::CHANNELS_PER_CONNECTION) each; further commands wait. podman
/// and the resolver are only called when a connection is opened.
///
/// Each connection has a thread and two descriptors. It ends when it was idle for
/// [`idle_limit`](TcpSshTransportBuilder::idle_limit), when the container is started, stopped or
/// removed through its runtime, or when the transport is dropped.
#[derive(Debug)]
pub struct TcpSshTransport {
    pub(super) context: Arc<CallContext>,
    ssh: OsString,
}

/// Builds a [`TcpSshTransport`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct TcpSshTransportBuilder {
    identity: PathBuf,
    resolver: Arc<dyn EndpointResolver>,
    policy: Arc<ChoosePolicy>,
    user: SshUser,
    workdir: Option<ContainerPath>,
    ssh: OsString,
    config: SessionConfig,
    exec_path: ExecPath,
}

impl TcpSshTransport {
    /// Starts a transport that logs in with the private key in the file `identity`, at the
    /// endpoints that `resolver` finds.
    ///
    /// Defaults: the user [`DEFAULT_SSH_USER`](crate::DEFAULT_SSH_USER), the workdir
    /// [`DEFAULT_WORKDIR`], and the host key policy [`first_use`](HostKeyPolicy::first_use).
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
            config: SessionConfig {
                connect_limit: Duration::from_secs(15),
                keepalive: Duration::from_secs(10),
                idle: Duration::from_secs(300),
            },
            exec_path: ExecPath::default(),
        }
    }

    /// Returns the first host key that a container has shown; `None` before its first connection.
    /// To keep it beyond this process, see [`HostKey::known_hosts_line`].
    pub fn host_key(&self, container: &ContainerName) -> Option<HostKey> {
        self.context.pool.pinned(container)
    }

    /// Returns how commands of this user (`None`: the transport's own) get into the guest of a
    /// container now: by an agent there, or on channels for the reason that it contains. `None`
    /// before the first command.
    pub fn warmth(&self, container: &ContainerName, user: Option<&SshUser>) -> Option<Warmth> {
        match self.context.exec_path {
            ExecPath::Cold => Some(Warmth::Cold(ColdReason::Chosen)),
            _ if rt_agent::PROGRAM.is_none() => Some(Warmth::Cold(ColdReason::NoProgram)),
            _ => self.context.pool.warmth(container, user.unwrap_or(&self.context.user)),
        }
    }
}

impl TcpSshTransportBuilder {
    /// Sets the user. A request's own [`user`](ExecRequest::user) takes precedence.
    pub fn user(self, user: SshUser) -> Self {
        Self { user, ..self }
    }

    /// Sets the workdir of commands; `None` is the user's home. A request's own workdir takes
    /// precedence.
    pub fn workdir(self, workdir: Option<ContainerPath>) -> Self {
        Self { workdir, ..self }
    }

    /// Sets the host key policy for every guest.
    pub fn host_key_policy(self, policy: HostKeyPolicy) -> Self {
        self.host_key_policy_by(move |_| Ok(policy.clone()))
    }

    /// Sets a function that chooses the host key policy of a container. It is called when a
    /// connection is made.
    pub fn host_key_policy_by(
        self,
        choose: impl Fn(&dyn Container) -> Result<HostKeyPolicy> + Send + Sync + 'static,
    ) -> Self {
        Self { policy: Arc::new(choose), ..self }
    }

    /// Sets the OpenSSH client that [`login_command`](KrunTransport::login_command) names, `ssh` by
    /// default. Commands never start it. The client would read `${` in the identity's path as a
    /// variable, so `login_command` refuses such a path.
    pub fn ssh_binary(self, ssh: impl AsRef<OsStr>) -> Self {
        Self { ssh: ssh.as_ref().to_owned(), ..self }
    }

    /// Limits making a connection: TCP, key exchange, login, and the user's start-up files. 15 s by
    /// default.
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.config.connect_limit = limit.min(LONGEST);
        self
    }

    /// Sets the silence of a guest with running commands after which a keepalive request is sent:
    /// 10 s by default, at least 2 s. After three times that, the guest counts as gone and its
    /// commands as [`Lost`](rt_protocol::ExitOutcome::Lost).
    pub fn keepalive(mut self, interval: Duration) -> Self {
        self.config.keepalive = interval.clamp(Duration::from_secs(2), LONGEST);
        self
    }

    /// Sets how long a connection without commands is kept, 5 minutes by default. One with an agent
    /// is kept for a second at least.
    pub fn idle_limit(mut self, limit: Duration) -> Self {
        self.config.idle = limit.min(LONGEST);
        self
    }

    /// Sets how commands get into guests. By default, those of a guest and a user go by an agent
    /// there, which the first one starts, and on channels where there can be none. See
    /// [`limitations`](crate::limitations#agents).
    pub fn exec_path(self, exec_path: ExecPath) -> Self {
        Self { exec_path, ..self }
    }

    /// Returns the transport. Nothing is read or sent yet.
    pub fn build(self) -> TcpSshTransport {
        let settings = Settings {
            identity: IdentityFile::new(self.identity),
            resolver: self.resolver,
            policy: self.policy,
            config: self.config,
        };
        let context = CallContext {
            pool: Pool::new(settings),
            user: self.user,
            workdir: self.workdir,
            exec_path: self.exec_path,
        };
        TcpSshTransport { context: Arc::new(context), ssh: self.ssh }
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
        exec::captured(&self.context, guest, request, until)
    }

    fn exec_stdio(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult> {
        exec::bridged(&self.context, guest, request, stdio, until)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with(Capability::Spawn).with(Capability::SendSignal).with(Capability::Terminal)
    }

    fn spawn(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        streams: &mut CommandStreams,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        exec::spawned(&self.context, guest, request, streams, until)
    }

    fn login_command(
        &self,
        guest: &Arc<dyn Container>,
        command: Option<&Argv>,
        until: &Until,
    ) -> Result<Vec<OsString>> {
        const OPERATION: &str = "log in to";
        let with_container = |error: Error| {
            // What the end of `until` has broken off says no more than that.
            let error = until.check().map_or_else(|stop| Error::stopped(stop, OPERATION), |()| error);
            error.during(OPERATION).in_container(&guest.key().name)
        };
        until.check().map_err(|stop| with_container(Error::stopped(stop, OPERATION)))?;
        let host_key = self.key_for_login(guest, until).map_err(with_container)?;
        let endpoint = self.context.pool.settings.resolver.resolve(guest.as_ref()).map_err(with_container)?;
        let login = Login {
            ssh: &self.ssh,
            endpoint: &endpoint,
            user: &self.context.user,
            identity: &self.context.pool.settings.identity,
            host_key: &host_key,
        };
        let shell = Argv::new(["bash", "-l"])?;
        login
            .words(RemoteCommand::login(command.unwrap_or(&shell), self.context.workdir.as_ref()))
            .map_err(with_container)
    }

    fn wait_until_reachable(&self, guest: &Arc<dyn Container>, until: &Until) -> Result<()> {
        banner::wait(guest.as_ref(), self.context.pool.settings.resolver.as_ref(), until)
    }

    fn forget(&self, container: &ContainerName) {
        self.context.pool.forget(container);
    }

    fn removed(&self, container: &ContainerName) {
        self.context.pool.remove(container);
    }
}

impl TcpSshTransport {
    /// Returns the key that the guest shows now, if it is the right one.
    fn key_for_login(&self, guest: &Arc<dyn Container>, until: &Until) -> Result<HostKey> {
        self.context.pool.settings.identity.read()?;
        let refused =
            |cause| Error::new(ErrorKind::System, "log in to", "a pipe was refused").with_source(cause);
        let waker = Waker::new().map_err(refused)?;
        let _registration = waker.wake_on_cancel(until);
        let limit = Instant::now() + self.context.pool.settings.config.connect_limit;
        let watch = Watch {
            waker: &waker,
            deadline: until.deadline().map_or(limit, |deadline| limit.min(deadline.instant())),
            is_called_off: &|| until.check().is_err(),
        };
        self.context.pool.learn_host_key(guest.as_ref(), &watch)
    }
}
