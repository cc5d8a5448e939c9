//! krun as a runtime: podman for the lifecycle of microVMs, a transport for the commands in them.

use std::fmt;
use std::sync::Arc;

use rt_podman::PodmanRuntime;
use rt_protocol::{
    Capabilities, Capability, Container, ContainerName, ContainerRemoveResult, ContainerRuntime, Error,
    ErrorKind, LaunchSpec, OciRuntime, Result, RuntimeId, Until,
};

use crate::container::KrunContainer;
use crate::transport::KrunTransport;

/// The name of the OCI runtime that starts a microVM, in podman's configuration.
pub(crate) const OCI_RUNTIME: &str = "krun";

/// microVMs on this host.
///
/// podman creates, starts, stops and removes them, and handles their logs, copies, images and
/// events. Commands go to the [`KrunTransport`], never to `podman exec`. See
/// [`limitations`](crate::limitations) for what does not work. Clones share everything. The inner
/// runtime is not accessible, so that no program enters a guest through it by mistake.
#[derive(Clone)]
pub struct KrunRuntime {
    id: RuntimeId,
    podman: Arc<dyn ContainerRuntime>,
    transport: Arc<dyn KrunTransport>,
}

impl KrunRuntime {
    /// Creates a runtime with the `podman` on PATH and this transport.
    ///
    /// # Errors
    /// As for [`PodmanRuntime::new`].
    pub fn new(transport: Arc<dyn KrunTransport>) -> Result<Self> {
        Ok(Self::on(PodmanRuntime::new()?, transport))
    }

    /// Creates a runtime with this podman and this transport. The resolver of the transport should
    /// use the same podman.
    pub fn on(podman: PodmanRuntime, transport: Arc<dyn KrunTransport>) -> Self {
        Self::over(Arc::new(podman), transport)
    }

    /// Creates a runtime with any runtime for the lifecycle, and this transport. For tests without
    /// podman, use `rt-null`'s runtime and a [`FakeKrunTransport`](crate::FakeKrunTransport).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use rt_krun::{FakeKrunTransport, FakeReply, KrunRuntime};
    /// use rt_null::NullRuntime;
    /// use rt_protocol::{Argv, ContainerName, ContainerRuntimeExt, LaunchSpec};
    ///
    /// # fn main() -> rt_protocol::Result<()> {
    /// let transport = Arc::new(FakeKrunTransport::new());
    /// let broken = FakeReply::code(1).with_stderr("modprobe: not found\n");
    /// transport.reply(&ContainerName::new("vm-1")?, &Argv::new(["modprobe", "tun"])?, broken);
    ///
    /// let runtime = KrunRuntime::over(Arc::new(NullRuntime::new()), transport.clone());
    /// let spec = LaunchSpec::builder("vm-1", "localhost/guest").build()?;
    /// runtime.launch(&spec, Duration::from_secs(60))?;
    /// let result = runtime.exec_in("vm-1", ["modprobe", "tun"], Duration::from_secs(10))?;
    /// let error = result.exit_ok().unwrap_err().to_string();
    /// assert_eq!(error, "run: the command failed: exit code 1: modprobe: not found");
    /// assert_eq!(transport.execs().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn over(lifecycle: Arc<dyn ContainerRuntime>, transport: Arc<dyn KrunTransport>) -> Self {
        let id = match lifecycle.id().as_str() {
            "podman" => RuntimeId::new("krun"),
            other => RuntimeId::new(format!("krun:{other}")),
        };
        Self { id, podman: lifecycle, transport }
    }

    /// Returns the transport.
    pub fn transport(&self) -> &Arc<dyn KrunTransport> {
        &self.transport
    }

    fn wrap(&self, podman: Arc<dyn Container>) -> Arc<dyn Container> {
        Arc::new(KrunContainer::new(self.id.clone(), podman, Arc::clone(&self.transport)))
    }
}

impl fmt::Debug for KrunRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KrunRuntime")
            .field("id", &self.id.as_str())
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Returns podman's capabilities, and those in which SSH differs: any bytes in arguments, signals
/// as outcomes, and none to the guest's main process. A frozen guest would answer no command, and
/// it is untested. Terminals, and what a running command can do, are for the transport to say.
fn capabilities(podman: Capabilities, transport: Capabilities) -> Capabilities {
    let own = podman
        .with(Capability::ByteArguments)
        .with(Capability::Signals)
        .without(Capability::Terminal)
        .without(Capability::Spawn)
        .without(Capability::SendSignal)
        .without(Capability::Pause)
        .without(Capability::Kill)
        .without(Capability::LaunchSecurity)
        .without(Capability::LaunchHealthCheck)
        .without(Capability::LaunchStopSignal);
    transport.iter().fold(own, Capabilities::with)
}

impl ContainerRuntime for KrunRuntime {
    fn id(&self) -> &RuntimeId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(self.podman.capabilities(), self.transport.capabilities())
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        self.wrap(self.podman.container(name))
    }

    fn inner(&self) -> Option<&dyn ContainerRuntime> {
        Some(&*self.podman)
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        const OPERATION: &str = "create";
        let missing = spec.required_capabilities().difference(self.capabilities());
        if !missing.is_empty() {
            return Err(Error::unsupported(OPERATION, missing).in_container(spec.name()));
        }
        let refused = |message: String, hint: &'static str| {
            Err(Error::new(ErrorKind::InvalidRequest, OPERATION, message)
                .with_hint(hint)
                .in_container(spec.name()))
        };
        let spec = match spec.oci_runtime() {
            Some(runtime) if runtime.as_str() != OCI_RUNTIME => {
                let message = format!("its OCI runtime is to be `{}`", runtime.as_str());
                return refused(message, "leave the OCI runtime out, or use the podman backend");
            }
            Some(_) => spec.clone(),
            None => spec.to_builder().oci_runtime(OciRuntime::new(OCI_RUNTIME)?).build()?,
        };
        if spec.init() {
            // podman#21083: the guest does not boot.
            return refused(String::from("an init breaks a krun guest"), "leave `init` out");
        }
        // An earlier container of this name may have left connections.
        self.transport.removed(spec.name());
        self.podman.create(&spec, until).map(|container| self.wrap(container))
    }

    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        let results = self.podman.force_remove(names, until);
        for result in &results {
            if result.removed {
                self.transport.removed(&result.name);
            } else {
                self.transport.forget(&result.name);
            }
        }
        results
    }
}
