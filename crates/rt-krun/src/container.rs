//! A krun container: podman's handle for the lifecycle, and the transport for commands in the
//! guest.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rt_process::FileScripts;
use rt_protocol::{
    Argv, Capability, CommandControl, CommandStreams, Container, ContainerInfo, ContainerKey, ContainerPath,
    DirEntry, Error, ExecRequest, ExecResult, ExecStdio, FileInfo, FileOptions, OperationSpan, Result,
    RuntimeId, Signal, StdioResult, Until, file_operation,
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

    fn unsupported(&self, operation: &'static str, missing: Capability) -> Error {
        Error::unsupported(operation, missing.into()).in_container(&self.key.name)
    }

    /// Does something with files, by a script in the guest, as its user. podman's own copies would
    /// not see what is mounted there.
    fn files<T>(
        &self,
        operation: &'static str,
        until: &Until,
        act: impl FnOnce(&FileScripts<'_>) -> Result<T>,
    ) -> Result<T> {
        let run = |request: &ExecRequest, stdio: ExecStdio<'_>| {
            self.transport.exec_stdio(&self.podman, request, stdio, until)
        };
        let in_container = |error: Error| error.in_container(&self.key.name);
        OperationSpan::on(operation, &self.key.name).run(|| {
            until.check().map_err(|stop| in_container(Error::stopped(stop, operation)))?;
            act(&FileScripts::new(&run, None)).map_err(in_container)
        })
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
        let span = OperationSpan::of_command("exec in", &self.podman.key().name, request);
        span.captured(|_| self.transport.exec(&self.podman, request, until))
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        let span = OperationSpan::of_command("exec in", &self.podman.key().name, request);
        span.bridged(|_| self.transport.exec_stdio(&self.podman, request, stdio, until))
    }

    fn spawn(
        &self,
        request: &ExecRequest,
        streams: &mut CommandStreams,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        let start = |streams| self.transport.spawn(&self.podman, request, streams, until);
        if !self.transport.capabilities().contains(Capability::Spawn) {
            // The call of `exec_stdio` that follows has a span.
            return start(streams);
        }
        let span = OperationSpan::of_command("exec in", &self.podman.key().name, request);
        span.spawned(|_| start(streams))
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

    fn pause(&self, _: &Until) -> Result<()> {
        Err(self.unsupported("pause", Capability::Pause))
    }

    fn unpause(&self, _: &Until) -> Result<()> {
        Err(self.unsupported("unpause", Capability::Pause))
    }

    fn kill(&self, _: Signal, _: &Until) -> Result<()> {
        Err(self.unsupported("signal", Capability::Kill).with_hint("stop it, if it is to end"))
    }

    fn remove(&self, until: &Until) -> Result<()> {
        let removed = self.podman.remove(until);
        match &removed {
            Ok(()) => self.transport.removed(&self.key.name),
            Err(_) => self.forget(),
        }
        removed
    }

    fn write_file(
        &self,
        path: &ContainerPath,
        bytes: &[u8],
        options: &FileOptions,
        until: &Until,
    ) -> Result<()> {
        self.files(file_operation::WRITE, until, |files| files.write(path, bytes, options))
    }

    fn read_file(&self, path: &ContainerPath, limit: u64, until: &Until) -> Result<Vec<u8>> {
        self.files(file_operation::READ, until, |files| files.read(path, limit))
    }

    fn stat(&self, path: &ContainerPath, until: &Until) -> Result<Option<FileInfo>> {
        self.files(file_operation::STAT, until, |files| files.stat(path))
    }

    fn list_dir(&self, path: &ContainerPath, until: &Until) -> Result<Vec<DirEntry>> {
        self.files(file_operation::LIST, until, |files| files.list(path))
    }

    fn remove_path(&self, path: &ContainerPath, until: &Until) -> Result<()> {
        self.files(file_operation::REMOVE, until, |files| files.remove(path))
    }

    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        self.transport.login_command(&self.podman, command, until)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
