//! krun as a runtime: podman for the life of the microVMs, a transport for what runs in them.

use std::fmt;
use std::sync::Arc;

use rt_podman::PodmanRuntime;
use rt_protocol::{
    Capabilities, Capability, Container, ContainerName, ContainerRemoveResult, ContainerRuntime, Error,
    ErrorKind, LaunchSpec, OciRuntime, Result, RuntimeId, Until,
};

use crate::container::KrunContainer;
use crate::transport::KrunTransport;

/// The OCI runtime that boots a microVM, by the name that podman's configuration knows.
pub(crate) const OCI_RUNTIME: &str = "krun";

/// microVMs on this host.
///
/// podman makes, starts, stops and removes them, and serves their logs, copies, images and events; commands go to the
/// [`KrunTransport`], never to `podman exec`. What krun itself cannot do stands in the documentation of the
/// [`crate`]. Clones share everything.
#[derive(Clone)]
pub struct KrunRuntime {
    id: RuntimeId,
    podman: Arc<dyn ContainerRuntime>,
    transport: Arc<dyn KrunTransport>,
}

impl KrunRuntime {
    /// The `podman` on PATH, and this transport.
    ///
    /// # Errors
    /// As for [`PodmanRuntime::new`].
    pub fn new(transport: Arc<dyn KrunTransport>) -> Result<Self> {
        Ok(Self::on(PodmanRuntime::new()?, transport))
    }

    /// This podman, and this transport. The resolver of the transport should ask the same podman.
    pub fn on(podman: PodmanRuntime, transport: Arc<dyn KrunTransport>) -> Self {
        Self::over(Arc::new(podman), transport)
    }

    /// This runtime for the life of the containers, and this transport: for tests without a podman, with `rt-null`'s
    /// runtime and a [`FakeKrunTransport`](crate::FakeKrunTransport).
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
    /// runtime.launch(&LaunchSpec::builder("vm-1", "localhost/guest").build()?, Duration::from_secs(60))?;
    /// let result = runtime.exec_in("vm-1", ["modprobe", "tun"], Duration::from_secs(10))?;
    /// assert_eq!(result.exit_ok().unwrap_err().to_string(), "run: the command failed: exit code 1: modprobe: not found");
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

    /// What enters the guests.
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

/// What podman serves, and what an SSH server adds: any bytes in words, and the signals that commands die of.
fn capabilities(podman: Capabilities) -> Capabilities {
    podman.with(Capability::ByteArguments).with(Capability::Signals)
}

impl ContainerRuntime for KrunRuntime {
    fn id(&self) -> &RuntimeId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(self.podman.capabilities())
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        self.wrap(self.podman.container(name))
    }

    fn inner(&self) -> Option<&dyn ContainerRuntime> {
        Some(&*self.podman)
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        const OPERATION: &str = "create";
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
        // The name's predecessor may have left connections.
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
