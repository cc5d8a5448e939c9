//! A krun container: podman's handle for its life, the transport for what runs in its guest.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, Container, ContainerInfo, ContainerKey, ContainerPath, ContainerState, CopyOptions, ExecRequest,
    ExecResult, ExecStdio, ExitOutcome, Health, Image, LogOptions, LogStream, MountInfo, PublishedPort,
    Readiness, Result, RuntimeId, StdioResult, Until,
};

use crate::transport::KrunTransport;

/// A container whose OCI runtime boots a sealed microVM.
///
/// Made by [`KrunRuntime::container`](rt_protocol::ContainerRuntime::container). Copies reach the container's file system
/// as podman sees it; of a guest that shares it by virtio-fs that is the guest's too.
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

    /// What enters the guest.
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

#[deny(clippy::missing_trait_methods)]
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

    fn inspect(&self) -> Result<Option<ContainerInfo>> {
        self.podman.inspect()
    }

    fn id(&self) -> Result<Option<String>> {
        self.podman.id()
    }

    fn state(&self) -> Result<Option<ContainerState>> {
        self.podman.state()
    }

    fn running(&self) -> Result<bool> {
        self.podman.running()
    }

    fn image(&self) -> Result<Option<Arc<dyn Image>>> {
        self.podman.image()
    }

    fn started_at(&self) -> Result<Option<SystemTime>> {
        self.podman.started_at()
    }

    fn mounts(&self) -> Result<Option<Vec<MountInfo>>> {
        self.podman.mounts()
    }

    fn ports(&self) -> Result<Option<Vec<PublishedPort>>> {
        self.podman.ports()
    }

    fn health(&self) -> Result<Option<Health>> {
        self.podman.health()
    }

    fn rw_size(&self) -> Result<Option<u64>> {
        self.podman.rw_size()
    }

    fn start(&self, until: &Until) -> Result<()> {
        // Also after a failure: nobody knows how far it came.
        let started = self.podman.start(until);
        self.forget();
        started
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        let stopped = self.podman.stop(grace, until);
        self.forget();
        stopped
    }

    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        self.podman.wait(until)
    }

    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        self.podman.copy_in(src, dest, options, until)
    }

    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        self.podman.copy_out(src, dest, options, until)
    }

    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        self.podman.copy_in_tar(tar, dest, until)
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        self.podman.copy_out_tar(src, tar, until)
    }

    fn login_command(&self, command: Option<&Argv>) -> Result<Vec<OsString>> {
        self.transport.login_command(&self.podman, command)
    }

    fn logs(&self, options: &LogOptions) -> Result<Box<dyn LogStream>> {
        self.podman.logs(options)
    }

    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        until: &Until,
    ) -> Result<Readiness> {
        self.podman.stream_initial_logs(ready, echo, until)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
