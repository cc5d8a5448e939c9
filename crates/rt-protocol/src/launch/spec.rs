//! The description of a new container. Its builder is in `builder`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;

use super::{
    BindMount, Entrypoint, HealthCheck, LinuxCapability, Network, OciRuntime, PortMapping, PullPolicy,
    RestartPolicy, SecurityOption, Tmpfs, Volume,
};
use crate::{Argv, Capabilities, Capability, ContainerName, ContainerPath, Env, ImageRef, Signal, User};

/// The description of a container for
/// [`ContainerRuntime::create`](crate::ContainerRuntime::create).
///
/// It is plain data, and was checked when it was built.
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
    pub(crate) entrypoint: Entrypoint,
    pub(crate) read_only_root: bool,
    pub(crate) tmpfs: Vec<Tmpfs>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) pids_limit: Option<u32>,
    pub(crate) cap_add: BTreeSet<LinuxCapability>,
    pub(crate) cap_drop: BTreeSet<LinuxCapability>,
    pub(crate) security_options: Vec<SecurityOption>,
    pub(crate) restart: RestartPolicy,
    pub(crate) health_check: Option<HealthCheck>,
    pub(crate) stop_signal: Option<Signal>,
    pub(crate) extra_args: Vec<OsString>,
}

impl LaunchSpec {
    /// Returns the description of a container that runs its image's own command.
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
            entrypoint: Entrypoint::Image,
            read_only_root: false,
            tmpfs: Vec::new(),
            volumes: Vec::new(),
            pids_limit: None,
            cap_add: BTreeSet::new(),
            cap_drop: BTreeSet::new(),
            security_options: Vec::new(),
            restart: RestartPolicy::No,
            health_check: None,
            stop_signal: None,
            extra_args: Vec::new(),
        }
    }

    /// Returns the name of the container.
    pub fn name(&self) -> &ContainerName {
        &self.name
    }

    /// Returns the image.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// Returns the command; `None` for the image's own.
    pub fn command(&self) -> Option<&Argv> {
        self.command.as_ref()
    }

    /// Returns the variables that are added to those of the image.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Returns the published ports.
    pub fn ports(&self) -> &[PortMapping] {
        &self.ports
    }

    /// Returns the mounts.
    pub fn mounts(&self) -> &[BindMount] {
        &self.mounts
    }

    /// Returns the user of the main process; `None` for the image's own.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Returns the directory in which the main process starts; `None` for the image's own.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.workdir.as_ref()
    }

    /// Returns the labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// Returns the OCI annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Returns the memory limit in bytes.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Returns the CPU limit in thousandths of one CPU.
    pub fn milli_cpus(&self) -> Option<u32> {
        self.milli_cpus
    }

    /// Returns the network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the GPU arguments in the engine's syntax, as `rt-gpu` builds them.
    pub fn gpu_args(&self) -> &[OsString] {
        &self.gpu_args
    }

    /// Returns the OCI runtime; `None` for the engine's default.
    pub fn oci_runtime(&self) -> Option<&OciRuntime> {
        self.oci_runtime.as_ref()
    }

    /// Returns whether a small init runs as process 1 and reaps zombies.
    pub fn init(&self) -> bool {
        self.init
    }

    /// Returns when the image is pulled.
    pub fn pull(&self) -> PullPolicy {
        self.pull
    }

    /// Returns the words before the command.
    pub fn entrypoint(&self) -> &Entrypoint {
        &self.entrypoint
    }

    /// Returns whether the root file system is read-only.
    pub fn read_only_root(&self) -> bool {
        self.read_only_root
    }

    /// Returns the file systems in memory.
    pub fn tmpfs(&self) -> &[Tmpfs] {
        &self.tmpfs
    }

    /// Returns the volumes.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// Returns the limit on processes and threads.
    pub fn pids_limit(&self) -> Option<u32> {
        self.pids_limit
    }

    /// Returns the capabilities that are added to the engine's default ones.
    pub fn cap_add(&self) -> &BTreeSet<LinuxCapability> {
        &self.cap_add
    }

    /// Returns the capabilities that are removed from the engine's default ones.
    pub fn cap_drop(&self) -> &BTreeSet<LinuxCapability> {
        &self.cap_drop
    }

    /// Returns the security options.
    pub fn security_options(&self) -> &[SecurityOption] {
        &self.security_options
    }

    /// Returns whether the engine starts it again at its end.
    pub fn restart(&self) -> RestartPolicy {
        self.restart
    }

    /// Returns the health check; `None` for the image's own.
    pub fn health_check(&self) -> Option<&HealthCheck> {
        self.health_check.as_ref()
    }

    /// Returns the signal that a stop sends first; `None` for the image's own, or `TERM`.
    pub fn stop_signal(&self) -> Option<Signal> {
        self.stop_signal
    }

    /// Returns the arguments in the engine's syntax. They are passed on unchanged, before the
    /// image.
    pub fn extra_args(&self) -> &[OsString] {
        &self.extra_args
    }

    /// Returns what a backend needs for every field, including [`Capability::Create`].
    pub fn required_capabilities(&self) -> Capabilities {
        let secret = self.env.has_secrets();
        let plain = self.env.iter().any(|(_, value)| !value.is_secret());
        let limited = self.memory.is_some() || self.milli_cpus.is_some() || self.pids_limit.is_some();
        let secured =
            !(self.cap_add.is_empty() && self.cap_drop.is_empty() && self.security_options.is_empty());
        Capabilities::needed([
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
            (self.entrypoint != Entrypoint::Image, Capability::LaunchEntrypoint),
            (self.read_only_root, Capability::LaunchReadOnlyRoot),
            (!self.tmpfs.is_empty(), Capability::LaunchTmpfs),
            (!self.volumes.is_empty(), Capability::LaunchVolumes),
            (secured, Capability::LaunchSecurity),
            (self.restart != RestartPolicy::No, Capability::LaunchRestart),
            (self.health_check.is_some(), Capability::LaunchHealthCheck),
            (self.stop_signal.is_some(), Capability::LaunchStopSignal),
            (self.init || !self.extra_args.is_empty(), Capability::LaunchExtraArgs),
        ])
    }

    fn is_utf8(&self) -> bool {
        let is_text = |path: &ContainerPath| path.as_os_str().to_str().is_some();
        let has_texts = match &self.entrypoint {
            Entrypoint::Argv(argv) => argv.is_utf8(),
            Entrypoint::Image | Entrypoint::None => true,
        };
        has_texts
            && self.health_check.as_ref().is_none_or(|check| check.command().is_utf8())
            && self.tmpfs.iter().all(|tmpfs| is_text(tmpfs.destination()))
            && self.volumes.iter().all(|volume| is_text(volume.destination()))
            && self.command.as_ref().is_none_or(Argv::is_utf8)
            && self.env.iter().all(|(_, value)| value.expose().to_str().is_some())
            && self.mounts.iter().all(|mount| {
                mount.source().to_str().is_some() && mount.destination().as_os_str().to_str().is_some()
            })
            && self.workdir.as_ref().is_none_or(|path| path.as_os_str().to_str().is_some())
            && self.gpu_args.iter().chain(&self.extra_args).all(|word| word.to_str().is_some())
    }
}

/// Labels, annotations and arguments in the engine's syntax may contain secrets that this crate
/// cannot recognise. So only the names of the former and the number of the latter are shown.
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
            .field("entrypoint", &self.entrypoint)
            .field("read_only_root", &self.read_only_root)
            .field("tmpfs", &self.tmpfs)
            .field("volumes", &self.volumes)
            .field("pids_limit", &self.pids_limit)
            .field("cap_add", &self.cap_add)
            .field("cap_drop", &self.cap_drop)
            .field("security_options", &self.security_options)
            .field("restart", &self.restart)
            .field("health_check", &self.health_check)
            .field("stop_signal", &self.stop_signal)
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
