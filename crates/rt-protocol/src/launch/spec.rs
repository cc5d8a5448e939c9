//! The description of a new container as a whole. How it is built stands in `builder`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use super::{BindMount, Network, OciRuntime, PortMapping, PullPolicy};
use crate::{Argv, Capabilities, Capability, ContainerName, ContainerPath, Env, ImageRef, User};

/// The description of a container for [`ContainerRuntime::create`](crate::ContainerRuntime::create).
///
/// Pure data, checked when it was built.
///
/// ```
/// use rt_protocol::{BindMount, LaunchSpec, PortMapping};
///
/// let spec = LaunchSpec::builder("web-1", "docker.io/library/nginx:1.27")
///     .command(["nginx", "-g", "daemon off;"])
///     .env("TZ", "UTC")
///     .port(PortMapping::any_port_on_loopback(80))
///     .mount(BindMount::read_only("/srv/site", "/usr/share/nginx/html")?)
///     .memory(256 << 20)
///     .build()?;
/// assert_eq!(spec.name().as_str(), "web-1");
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LaunchSpec {
    pub(crate) name: ContainerName,
    pub(crate) image: ImageRef,
    pub(crate) command: Option<Argv>,
    pub(crate) env: Env,
    pub(crate) ports: Vec<PortMapping>,
    pub(crate) mounts: Vec<BindMount>,
    pub(crate) user: Option<User>,
    pub(crate) workdir: Option<ContainerPath>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) memory: Option<u64>,
    pub(crate) milli_cpus: Option<u32>,
    pub(crate) network: Network,
    pub(crate) gpu_args: Vec<OsString>,
    pub(crate) oci_runtime: Option<OciRuntime>,
    pub(crate) init: bool,
    pub(crate) pull: PullPolicy,
    pub(crate) extra_args: Vec<OsString>,
}

impl LaunchSpec {
    /// A container that runs its image's own command.
    pub fn of(name: ContainerName, image: ImageRef) -> Self {
        Self {
            name,
            image,
            command: None,
            env: Env::default(),
            ports: Vec::new(),
            mounts: Vec::new(),
            user: None,
            workdir: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            memory: None,
            milli_cpus: None,
            network: Network::Default,
            gpu_args: Vec::new(),
            oci_runtime: None,
            init: false,
            pull: PullPolicy::Missing,
            extra_args: Vec::new(),
        }
    }

    /// The container's name.
    pub fn name(&self) -> &ContainerName {
        &self.name
    }

    /// The image.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// The command; `None` is the image's own.
    pub fn command(&self) -> Option<&Argv> {
        self.command.as_ref()
    }

    /// Variables on top of the image's own.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Published ports.
    pub fn ports(&self) -> &[PortMapping] {
        &self.ports
    }

    /// Mounts.
    pub fn mounts(&self) -> &[BindMount] {
        &self.mounts
    }

    /// The user of the main process; `None` is the image's own.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Where the main process starts; `None` is the image's own.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.workdir.as_ref()
    }

    /// Labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// OCI annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The memory limit in bytes.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// The CPU limit in thousandths of one CPU.
    pub fn milli_cpus(&self) -> Option<u32> {
        self.milli_cpus
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Arguments for GPUs in the engine's words, as `rt-gpu` builds them.
    pub fn gpu_args(&self) -> &[OsString] {
        &self.gpu_args
    }

    /// The OCI runtime; `None` is the engine's default.
    pub fn oci_runtime(&self) -> Option<&OciRuntime> {
        self.oci_runtime.as_ref()
    }

    /// Whether a small init reaps zombies as process 1.
    pub fn init(&self) -> bool {
        self.init
    }

    /// When the image is pulled.
    pub fn pull(&self) -> PullPolicy {
        self.pull
    }

    /// Arguments in the engine's own words, handed on as they are, before the image.
    pub fn extra_args(&self) -> &[OsString] {
        &self.extra_args
    }

    /// What a backend must be able to do to honour every field, [`Capability::Create`] included.
    pub fn required_capabilities(&self) -> Capabilities {
        let secret = self.env.has_secrets();
        let plain = self.env.iter().any(|(_, value)| !value.is_secret());
        let limited = self.memory.is_some() || self.milli_cpus.is_some();
        [
            (true, Capability::Create),
            (plain, Capability::ExecEnv),
            (secret, Capability::ExecSecretEnv),
            (self.user.is_some(), Capability::ExecUser),
            (self.workdir.is_some(), Capability::ExecWorkdir),
            (!self.is_utf8(), Capability::ByteArguments),
            (!self.ports.is_empty(), Capability::LaunchPorts),
            (!self.mounts.is_empty(), Capability::LaunchMounts),
            (limited, Capability::LaunchLimits),
            (self.network != Network::Default, Capability::LaunchNetwork),
            (!self.gpu_args.is_empty(), Capability::LaunchGpu),
            (self.oci_runtime.is_some(), Capability::LaunchOciRuntime),
            (self.init || !self.extra_args.is_empty(), Capability::LaunchExtraArgs),
        ]
        .into_iter()
        .filter_map(|(needed, capability)| needed.then_some(capability))
        .collect()
    }

    fn is_utf8(&self) -> bool {
        self.command.as_ref().is_none_or(Argv::is_utf8)
            && self.env.iter().all(|(_, value)| value.expose().to_str().is_some())
            && self.mounts.iter().all(|mount| {
                mount.source().to_str().is_some() && mount.destination().as_os_str().to_str().is_some()
            })
            && self.workdir.as_ref().is_none_or(|path| path.as_os_str().to_str().is_some())
            && self.gpu_args.iter().chain(&self.extra_args).all(|word| word.to_str().is_some())
    }
}

/// Words in the engine's own terms, labels and annotations may hold anything, secrets too, and this crate knows no way to
/// tell: of the words only the number is shown, of the others the names.
impl fmt::Debug for LaunchSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaunchSpec")
            .field("name", &self.name)
            .field("image", &self.image)
            .field("command", &self.command)
            .field("env", &self.env)
            .field("ports", &self.ports)
            .field("mounts", &self.mounts)
            .field("user", &self.user)
            .field("workdir", &self.workdir)
            .field("labels", &self.labels.keys())
            .field("annotations", &self.annotations.keys())
            .field("memory", &self.memory)
            .field("milli_cpus", &self.milli_cpus)
            .field("network", &self.network)
            .field("gpu_args", &self.gpu_args.len())
            .field("oci_runtime", &self.oci_runtime)
            .field("init", &self.init)
            .field("pull", &self.pull)
            .field("extra_args", &self.extra_args.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_engine_labels_and_annotations_are_not_shown() {
        let spec = LaunchSpec::builder("a", "b")
            .extra_args(["--env=TOKEN=hunter2"])
            .gpu_args(["-e", "X=hunter2"])
            .label("token", "hunter2")
            .annotation("token", "hunter2")
            .secret_env("S", "hunter2")
            .build()
            .unwrap();
        let shown = format!("{spec:?} {:?}", spec.to_builder());
        assert!(!shown.contains("hunter2") && shown.contains("token"), "{shown}");
    }

    #[test]
    fn demands_name_what_is_used() {
        let plain = LaunchSpec::builder("a", "b").build().unwrap();
        assert_eq!(plain.required_capabilities().iter().collect::<Vec<_>>(), [Capability::Create]);
        let spec = LaunchSpec::builder("a", "b").memory(1).network(Network::None).init(true).build().unwrap();
        for needed in [Capability::LaunchLimits, Capability::LaunchNetwork, Capability::LaunchExtraArgs] {
            assert!(spec.required_capabilities().contains(needed));
        }
    }
}
