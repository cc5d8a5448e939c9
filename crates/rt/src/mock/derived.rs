//! A mock whose derived methods are those of the contract.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, Capabilities, Container, ContainerFilter, ContainerInfo, ContainerKey, ContainerName,
    ContainerPath, ContainerRemoveResult, ContainerRuntime, CopyOptions, EventOptions, EventStream,
    ExecRequest, ExecResult, ExecStdio, ExitOutcome, Image, ImageFilter, ImageInfo, ImageRef, ImageRemoval,
    LaunchSpec, LogOptions, LogStream, NamePrefix, PortReservation, Result, RuntimeId, StdioResult, Until,
};

/// A mock whose derived methods are those of the contract: what can be answered by other methods of the same trait is.
///
/// | derived, not asked of the mock | from |
/// | --- | --- |
/// | `exec`, `exec_stdio` of a runtime | `container`, and that container |
/// | `containers_with_prefix`, `states` | `list` |
/// | `id`, `state`, `running`, `started_at`, `mounts`, `ports`, `health` of a container | `inspect` |
/// | `stream_initial_logs` | `logs` |
/// | `id`, `exists`, `labels` of an image | `inspect` |
///
/// Every other method is the mock's.
///
/// ```
/// use rt::mock::{Derived, MockContainer};
/// use rt::prelude::*;
/// use rt::{ContainerInfo, ContainerName, ContainerState};
///
/// let mut mock = MockContainer::new();
/// let info = ContainerInfo::new(ContainerName::new("job")?, "4f2a", ContainerState::Exited);
/// mock.expect_inspect().returning(move || Ok(Some(info.clone())));
///
/// let container = Derived(mock);
/// assert!(!container.running()?);
/// assert_eq!(container.id()?.as_deref(), Some("4f2a"));
/// # Ok::<(), rt::Error>(())
/// ```
#[derive(Debug)]
pub struct Derived<M>(
    /// The mock.
    pub M,
);

impl<M: ContainerRuntime> ContainerRuntime for Derived<M> {
    fn id(&self) -> &RuntimeId {
        self.0.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        self.0.container(name)
    }

    fn list(&self, filter: &ContainerFilter) -> Result<Vec<ContainerInfo>> {
        self.0.list(filter)
    }

    fn rw_sizes(&self, prefix: &NamePrefix) -> Result<BTreeMap<ContainerName, u64>> {
        self.0.rw_sizes(prefix)
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        self.0.create(spec, until)
    }

    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        self.0.force_remove(names, until)
    }

    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        self.0.image(reference)
    }

    fn images(&self, filter: &ImageFilter) -> Result<Vec<Arc<dyn Image>>> {
        self.0.images(filter)
    }

    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        self.0.reserve_port(host)
    }

    fn events(&self, options: &EventOptions) -> Result<Box<dyn EventStream>> {
        self.0.events(options)
    }
}

impl<M: Container> Container for Derived<M> {
    fn key(&self) -> &ContainerKey {
        self.0.key()
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.0.exec(request, until)
    }

    fn inspect(&self) -> Result<Option<ContainerInfo>> {
        self.0.inspect()
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        self.0.exec_stdio(request, stdio, until)
    }

    fn image(&self) -> Result<Option<Arc<dyn Image>>> {
        self.0.image()
    }

    fn rw_size(&self) -> Result<Option<u64>> {
        self.0.rw_size()
    }

    fn start(&self, until: &Until) -> Result<()> {
        self.0.start(until)
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        self.0.stop(grace, until)
    }

    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        self.0.wait(until)
    }

    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        self.0.copy_in(src, dest, options, until)
    }

    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        self.0.copy_out(src, dest, options, until)
    }

    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        self.0.copy_in_tar(tar, dest, until)
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        self.0.copy_out_tar(src, tar, until)
    }

    fn login_command(&self, command: Option<&Argv>) -> Result<Vec<OsString>> {
        self.0.login_command(command)
    }

    fn logs(&self, options: &LogOptions) -> Result<Box<dyn LogStream>> {
        self.0.logs(options)
    }

    fn as_any(&self) -> &dyn Any {
        self.0.as_any()
    }
}

impl<M: Image> Image for Derived<M> {
    fn reference(&self) -> &ImageRef {
        self.0.reference()
    }

    fn runtime_id(&self) -> Option<&RuntimeId> {
        self.0.runtime_id()
    }

    fn inspect(&self) -> Result<Option<ImageInfo>> {
        self.0.inspect()
    }

    fn history(&self) -> Result<Option<Vec<String>>> {
        self.0.history()
    }

    fn remove(&self) -> Result<ImageRemoval> {
        self.0.remove()
    }

    fn repository(&self) -> Option<&str> {
        self.0.repository()
    }

    fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    fn size(&self) -> Option<u64> {
        self.0.size()
    }

    fn created(&self) -> Option<SystemTime> {
        self.0.created()
    }
}
