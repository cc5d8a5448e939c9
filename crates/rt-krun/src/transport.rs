//! The trait for running commands in a guest.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use rt_protocol::{
    Argv, Capabilities, Capability, CommandControl, CommandStreams, Container, ContainerName, Error,
    ExecRequest, ExecResult, ExecStdio, Result, StdioResult, Until,
};

/// Runs commands in a guest, which `podman exec` cannot do.
///
/// [`TcpSshTransport`](crate::TcpSshTransport) is the real one,
/// [`FakeKrunTransport`](crate::FakeKrunTransport) the one for tests. All handles of a
/// [`KrunRuntime`](crate::KrunRuntime) share a transport and call it from any thread, also at the
/// same time for one guest. Each operation gets podman's handle. Use it for the name, state and
/// ports; its own `exec` starts a process next to the guest.
///
/// Callers expect what [`Container::exec`] promises: true outcomes, a deadline that ends the
/// command, no ignored field of the request, and the errors of an absent or stopped container.
pub trait KrunTransport: fmt::Debug + Send + Sync {
    /// Runs a command in the guest and captures its output.
    ///
    /// # Errors
    /// As for [`Container::exec`], and `Unreachable`, `HostKeyMismatch`, `BadIdentity`,
    /// `AuthenticationRefused`.
    fn exec(&self, guest: &Arc<dyn Container>, request: &ExecRequest, until: &Until) -> Result<ExecResult>;

    /// Runs a command in the guest with its streams bridged.
    ///
    /// # Errors
    /// As for [`exec`](Self::exec), and as for [`Container::exec_stdio`].
    fn exec_stdio(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult>;

    /// Returns which of these it serves: [`Terminal`](Capability::Terminal),
    /// [`Spawn`](Capability::Spawn) by [`spawn`](Self::spawn), and
    /// [`SendSignal`](Capability::SendSignal) for such commands. The default is none.
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    /// Starts a command in the guest, and returns while it runs; see [`Container::spawn`].
    ///
    /// # Errors
    /// As for [`Container::spawn`]. The default is
    /// [`Unsupported`](rt_protocol::ErrorKind::Unsupported): then a thread calls
    /// [`exec_stdio`](Self::exec_stdio).
    fn spawn(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        streams: &mut CommandStreams,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        let _ = (request, streams, until);
        let missing = Capabilities::none().with(Capability::Spawn);
        Err(Error::unsupported("exec in", missing).in_container(&guest.key().name))
    }

    /// The argv, for `execvp`, of a program that gives a person a terminal in the guest.
    ///
    /// # Errors
    /// When the guest's endpoint or host key could not be found out.
    fn login_command(
        &self,
        guest: &Arc<dyn Container>,
        command: Option<&Argv>,
        until: &Until,
    ) -> Result<Vec<OsString>>;

    /// Waits until the guest can be entered, judging from outside. An open port is not enough:
    /// passt accepts connections before the guest listens. The default does not wait.
    ///
    /// # Errors
    /// `TimedOut` and `Cancelled`, with the reason why the guest could not be entered yet.
    /// `NoSuchContainer` and `NotRunning` as soon as the guest can never answer.
    fn wait_until_reachable(&self, guest: &Arc<dyn Container>, until: &Until) -> Result<()> {
        let _ = (guest, until);
        Ok(())
    }

    /// Closes what is kept for this container, such as connections. The runtime calls this when the
    /// container is started, stopped or removed. Running commands continue. The default does
    /// nothing.
    fn forget(&self, container: &ContainerName) {
        let _ = container;
    }

    /// Called when the container was removed: also drops what outlives a restart, such as a pinned
    /// host key. The default calls [`forget`](Self::forget).
    fn removed(&self, container: &ContainerName) {
        self.forget(container);
    }
}
