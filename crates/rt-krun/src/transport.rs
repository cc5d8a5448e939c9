//! The contract of what enters a guest.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use rt_protocol::{
    Argv, Container, ContainerName, ExecRequest, ExecResult, ExecStdio, Result, StdioResult, Until,
};

/// Runs commands in a sealed guest, where `podman exec` cannot.
///
/// [`TcpSshTransport`](crate::TcpSshTransport) is the real one, [`FakeKrunTransport`](crate::FakeKrunTransport) the one
/// for tests. Implementations are shared by all handles of a [`KrunRuntime`](crate::KrunRuntime) and called from any
/// thread, also at once for one guest. The handle that each operation gets is podman's: good for its name, state and
/// ports; its own `exec` lands beside the guest.
///
/// What [`Container::exec`] promises, its callers expect here: honest outcomes, a deadline that ends the command, no
/// field of the request ignored, and the errors of an absent or stopped container.
pub trait KrunTransport: fmt::Debug + Send + Sync {
    /// Runs a command in the guest and captures its output.
    ///
    /// # Errors
    /// As for [`Container::exec`], and `Unreachable`, `HostKeyMismatch`, `BadIdentity`, `AuthenticationRefused`.
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

    /// Waits until the guest can be entered, as far as that shows from outside. Not that a port accepts: passt does so
    /// before the guest listens. The default does not wait.
    ///
    /// # Errors
    /// `TimedOut` and `Cancelled`, with the reason for which the guest could not be entered yet; `NoSuchContainer` and
    /// `NotRunning` as soon as nobody can ever answer.
    fn wait_until_reachable(&self, guest: &Arc<dyn Container>, until: &Until) -> Result<()> {
        let _ = (guest, until);
        Ok(())
    }

    /// Lets go of what is kept for this container: connections. The runtime calls it when the container is started,
    /// stopped or removed. A command that runs there now goes on. The default keeps nothing and does nothing.
    fn forget(&self, container: &ContainerName) {
        let _ = container;
    }

    /// The container is gone for good: also what outlives a restart, such as a pinned host key, is let go. The default
    /// does what [`forget`](Self::forget) does.
    fn removed(&self, container: &ContainerName) {
        self.forget(container);
    }
}
