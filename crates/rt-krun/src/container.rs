//! A krun container: podman's handle for the lifecycle, and the transport for commands in the
//! guest.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{
    Argv, Container, ContainerInfo, ContainerKey, ExecRequest, ExecResult, ExecStdio, Result, RuntimeId,
    StdioResult, Until,
};

use crate::transport::KrunTransport;

/// A container whose OCI runtime starts a microVM.
///
/// Returned by [`KrunRuntime::container`](rt_protocol::ContainerRuntime::container). Copies go to
/// the container's file system as podman sees it. A guest that shares it by virtio-fs sees them
/// too.
#[derive(Clone)]
pub struct KrunContainer {
    key: ContainerKey,
    podman: Arc<dyn Container>,
    transport: Arc<dyn KrunTransport>,
}

impl fmt::Debug for KrunContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KrunContainer")
            .field("runtime", &self.key.runtime.as_str())
            .field("name", &self.key.name.as_str())
            .finish_non_exhaustive()
    }
}

impl KrunContainer {
    pub(crate) fn new(
        runtime: RuntimeId,
        podman: Arc<dyn Container>,
        transport: Arc<dyn KrunTransport>,
    ) -> Self {
        let key = ContainerKey::new(runtime, podman.key().name.clone());
        Self { key, podman, transport }
    }

    /// Returns the transport.
    pub fn transport(&self) -> &Arc<dyn KrunTransport> {
        &self.transport
    }

    /// Waits until the guest can be entered: its sshd has shown its banner.
    ///
    /// # Errors
    /// As for [`KrunTransport::wait_until_reachable`].
    pub fn wait_until_reachable(&self, until: &Until) -> Result<()> {
        self.transport.wait_until_reachable(&self.podman, until)
    }

    fn forget(&self) {
        self.transport.forget(&self.key.name);
    }
}

/// Whatever runs nothing in the guest is podman's.
impl Container for KrunContainer {
    fn key(&self) -> &ContainerKey {
        &self.key
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.transport.exec(&self.podman, request, until)
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        self.transport.exec_stdio(&self.podman, request, stdio, until)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        self.podman.inspect(until)
    }

    fn inner(&self) -> Option<&dyn Container> {
        Some(&*self.podman)
    }

    fn start(&self, until: &Until) -> Result<()> {
        // After a failure too, since it is unknown how far the start came.
        let started = self.podman.start(until);
        self.forget();
        started
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        let stopped = self.podman.stop(grace, until);
        self.forget();
        stopped
    }

    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        self.transport.login_command(&self.podman, command, until)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
