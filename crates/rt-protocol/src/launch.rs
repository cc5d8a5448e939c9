//! What a new container is to be.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::{
    Argv, Capabilities, Capability, ContainerName, ContainerPath, Env, ImageRef, InvalidValue, Protocol,
    Secret, User,
};

/// The description of a container for [`ContainerRuntime::create`](crate::ContainerRuntime::create).
///
/// Pure data, checked when it was built.
///
/// ```
/// use rt_protocol::{LaunchSpec, Mount, PortPublish};
///
/// let spec = LaunchSpec::builder("web-1", "docker.io/library/nginx:1.27")
///     .command(["nginx", "-g", "daemon off;"])
///     .env("TZ", "UTC")
///     .port(PortPublish::any_port_on_loopback(80))
///     .mount(Mount::read_only("/srv/site", "/usr/share/nginx/html")?)
///     .memory(256 << 20)
///     .build()?;
/// assert_eq!(spec.name().as_str(), "web-1");
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaunchSpec {
    name: ContainerName,
    image: ImageRef,
    command: Option<Argv>,
    env: Env,
    ports: Vec<PortPublish>,
    mounts: Vec<Mount>,
    user: Option<User>,
    workdir: Option<ContainerPath>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    memory: Option<u64>,
    milli_cpus: Option<u32>,
    network: Network,
    gpu_args: Vec<OsString>,
    oci_runtime: Option<OciRuntime>,
    init: bool,
    pull: PullPolicy,
    extra_args: Vec<OsString>,
}

impl LaunchSpec {
    /// Begins a description; [`LaunchSpecBuilder::build`] reports what was refused.
    pub fn builder(name: impl Into<String>, image: impl Into<String>) -> LaunchSpecBuilder {
        let spec = ContainerName::new(name).and_then(|name| Ok(Self::of(name, ImageRef::new(image)?)));
        LaunchSpecBuilder { spec }
    }

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

    /// Begins a changed copy.
    pub fn to_builder(&self) -> LaunchSpecBuilder {
        LaunchSpecBuilder { spec: Ok(self.clone()) }
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
    pub fn ports(&self) -> &[PortPublish] {
        &self.ports
    }

    /// Mounts.
    pub fn mounts(&self) -> &[Mount] {
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
    pub fn demands(&self) -> Capabilities {
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
                mount.source.to_str().is_some() && mount.destination.as_os_str().to_str().is_some()
            })
            && self.workdir.as_ref().is_none_or(|path| path.as_os_str().to_str().is_some())
            && self.gpu_args.iter().chain(&self.extra_args).all(|word| word.to_str().is_some())
    }
}

/// Builds a [`LaunchSpec`]; the first refused part is reported by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct LaunchSpecBuilder {
    spec: Result<LaunchSpec, InvalidValue>,
}

impl LaunchSpecBuilder {
    /// The command instead of the image's own.
    pub fn command<I, S>(self, argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.with(|spec| {
            spec.command = Some(Argv::new(argv)?);
            Ok(())
        })
    }

    /// Sets a variable that texts may show.
    pub fn env(self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.with(|spec| spec.env.set(name, value))
    }

    /// Sets a variable that no argv, log line or error shows.
    pub fn secret_env(self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.with(|spec| spec.env.set_secret(name, value.into()))
    }

    /// Publishes a port. Port 0 is refused.
    pub fn port(self, port: PortPublish) -> Self {
        self.with(|spec| {
            if port.container_port == 0 || port.host_port == Some(0) {
                return Err(InvalidValue::new(
                    "port",
                    "0",
                    "ports are 1 to 65535; leave the host port out to let one be picked",
                ));
            }
            spec.ports.push(port);
            Ok(())
        })
    }

    /// Mounts a host directory or file.
    pub fn mount(self, mount: Mount) -> Self {
        self.with(|spec| {
            spec.mounts.push(mount);
            Ok(())
        })
    }

    /// Runs the main process as this user.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|spec| {
            spec.user = Some(User::new(user)?);
            Ok(())
        })
    }

    /// Starts the main process in this directory.
    pub fn workdir(self, path: impl Into<PathBuf>) -> Self {
        self.with(|spec| {
            spec.workdir = Some(ContainerPath::new(path)?);
            Ok(())
        })
    }

    /// Sets a label. The key must not be empty or contain `=`.
    pub fn label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|spec| insert_pair(&mut spec.labels, "label", key.into(), value.into()))
    }

    /// Sets an annotation. The key must not be empty or contain `=`.
    pub fn annotation(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|spec| insert_pair(&mut spec.annotations, "annotation", key.into(), value.into()))
    }

    /// Limits memory, in bytes.
    pub fn memory(self, bytes: u64) -> Self {
        self.with(|spec| {
            if bytes == 0 {
                return Err(InvalidValue::new("memory limit", "0", "it must be at least one byte"));
            }
            spec.memory = Some(bytes);
            Ok(())
        })
    }

    /// Limits CPU time, in thousandths of one CPU: 1500 is one and a half.
    pub fn milli_cpus(self, milli_cpus: u32) -> Self {
        self.with(|spec| {
            if milli_cpus == 0 {
                return Err(InvalidValue::new("CPU limit", "0", "it must be at least one thousandth"));
            }
            spec.milli_cpus = Some(milli_cpus);
            Ok(())
        })
    }

    /// Chooses the network.
    pub fn network(self, network: Network) -> Self {
        self.with(|spec| {
            spec.network = network;
            Ok(())
        })
    }

    /// Adds arguments for GPUs, as `rt-gpu` builds them.
    pub fn gpu_args<I, S>(self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.with(|spec| {
            spec.gpu_args.extend(checked_words("GPU argument", args)?);
            Ok(())
        })
    }

    /// Chooses the OCI runtime, such as `krun`.
    pub fn oci_runtime(self, runtime: OciRuntime) -> Self {
        self.with(|spec| {
            spec.oci_runtime = Some(runtime);
            Ok(())
        })
    }

    /// Runs a small init as process 1.
    pub fn init(self, init: bool) -> Self {
        self.with(|spec| {
            spec.init = init;
            Ok(())
        })
    }

    /// Says when the image is pulled; the default is [`PullPolicy::Missing`].
    pub fn pull(self, policy: PullPolicy) -> Self {
        self.with(|spec| {
            spec.pull = policy;
            Ok(())
        })
    }

    /// Adds arguments in the engine's own words. They are handed on as they are: never build them from input that you
    /// do not trust.
    pub fn extra_args<I, S>(self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.with(|spec| {
            spec.extra_args.extend(checked_words("extra argument", args)?);
            Ok(())
        })
    }

    /// The description.
    ///
    /// # Errors
    /// The first part that was refused, as [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest).
    pub fn build(self) -> crate::Result<LaunchSpec> {
        Ok(self.spec?)
    }

    fn with(mut self, change: impl FnOnce(&mut LaunchSpec) -> Result<(), InvalidValue>) -> Self {
        if let Ok(spec) = &mut self.spec
            && let Err(refused) = change(spec)
        {
            self.spec = Err(refused);
        }
        self
    }
}

fn insert_pair(
    pairs: &mut BTreeMap<String, String>,
    what: &'static str,
    key: String,
    value: String,
) -> Result<(), InvalidValue> {
    if key.is_empty() || key.contains(['=', '\0']) {
        return Err(InvalidValue::new(what, key, "the key must not be empty or contain `=` or NUL"));
    }
    if value.contains('\0') {
        return Err(InvalidValue::new(what, key, "the value must not contain NUL"));
    }
    pairs.insert(key, value);
    Ok(())
}

fn checked_words<I, S>(what: &'static str, words: I) -> Result<Vec<OsString>, InvalidValue>
where
    I: IntoIterator<Item = S>,
    S: Into<OsString>,
{
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    if words.iter().any(|word| word.as_encoded_bytes().contains(&0)) {
        return Err(InvalidValue::hidden(what, "a word contains a NUL byte"));
    }
    Ok(words)
}

/// A port to publish on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortPublish {
    container_port: u16,
    protocol: Protocol,
    host_ip: Option<IpAddr>,
    host_port: Option<u16>,
}

impl PortPublish {
    /// Publishes a TCP port on 127.0.0.1, on a host port that the engine picks. The picked port is read back from
    /// [`ContainerInfo::ports`](crate::ContainerInfo::ports) once the container is started; nobody else can take it
    /// in between.
    pub fn any_port_on_loopback(container_port: u16) -> Self {
        Self {
            container_port,
            protocol: Protocol::Tcp,
            host_ip: Some(IpAddr::from([127, 0, 0, 1])),
            host_port: None,
        }
    }

    /// Publishes a TCP port on 127.0.0.1, on this host port.
    pub fn on_loopback(host_port: u16, container_port: u16) -> Self {
        Self { host_port: Some(host_port), ..Self::any_port_on_loopback(container_port) }
    }

    /// Another transport.
    #[must_use]
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Another address of the host, or `None` for all of them.
    #[must_use]
    pub fn host_ip(self, host_ip: Option<IpAddr>) -> Self {
        Self { host_ip, ..self }
    }

    /// The port inside the container.
    pub fn container_port(&self) -> u16 {
        self.container_port
    }

    /// The transport.
    pub fn transport(&self) -> Protocol {
        self.protocol
    }

    /// The address on the host; `None` is all of them.
    pub fn host_address(&self) -> Option<IpAddr> {
        self.host_ip
    }

    /// The port on the host; `None` lets the engine pick.
    pub fn host_port(&self) -> Option<u16> {
        self.host_port
    }
}

/// A host directory or file that is bound into the container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    source: PathBuf,
    destination: ContainerPath,
    read_only: bool,
}

impl Mount {
    /// A mount that the container may write to.
    ///
    /// # Errors
    /// A source or destination that is not absolute or contains a NUL byte.
    pub fn writable(
        source: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue> {
        let source = source.into();
        if !source.is_absolute() || source.as_os_str().as_encoded_bytes().contains(&0) {
            // A relative one would be the name of a volume.
            return Err(InvalidValue::new("mount source", source, "it must be absolute and without NUL"));
        }
        Ok(Self { source, destination: ContainerPath::new(destination)?, read_only: false })
    }

    /// A mount that the container can only read.
    ///
    /// # Errors
    /// As for [`writable`](Self::writable).
    pub fn read_only(
        source: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue> {
        Ok(Self { read_only: true, ..Self::writable(source, destination)? })
    }

    /// The path on the host.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The path in the container.
    pub fn destination(&self) -> &ContainerPath {
        &self.destination
    }

    /// Whether the container can only read it.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// The network of a new container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// The engine's default.
    #[default]
    Default,
    /// No network but loopback.
    None,
    /// The host's own network. Nothing is isolated.
    Host,
    /// A mode or network in the engine's words, such as `slirp4netns:allow_host_loopback=true` or the name of a network.
    Named(NetworkName),
}

/// The name of a network or mode, in the engine's words: begins with a letter or digit, no blanks, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkName(String);

impl NetworkName {
    /// Checks the name.
    ///
    /// # Errors
    /// Anything outside `[A-Za-z0-9][A-Za-z0-9_.:,=/-]*`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        let name = name.into();
        let good = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:,=/-".contains(&byte));
        if good {
            Ok(Self(name))
        } else {
            Err(InvalidValue::new("network", name, "it must match [A-Za-z0-9][A-Za-z0-9_.:,=/-]*"))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The OCI runtime that runs a container: a name that the engine knows, or an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OciRuntime(String);

impl OciRuntime {
    /// Checks the name.
    ///
    /// # Errors
    /// Anything but a path that begins with `/`, or a name of `[A-Za-z0-9][A-Za-z0-9_.-]*`.
    pub fn new(runtime: impl Into<String>) -> Result<Self, InvalidValue> {
        let runtime = runtime.into();
        let is_name = runtime.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && runtime.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if is_name || runtime.starts_with('/') && !runtime.contains(char::is_control) {
            Ok(Self(runtime))
        } else {
            Err(InvalidValue::new("OCI runtime", runtime, "it must be a plain name or an absolute path"))
        }
    }

    /// The runtime as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// When the image of a new container is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PullPolicy {
    /// When it is not here.
    #[default]
    Missing,
    /// Never: an image that is not here is an error.
    Never,
    /// Always.
    Always,
    /// When the registry has a newer one.
    Newer,
}

impl PullPolicy {
    /// podman's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Never => "never",
            Self::Always => "always",
            Self::Newer => "newer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_name_what_is_used() {
        let plain = LaunchSpec::builder("a", "b").build().unwrap();
        assert_eq!(plain.demands().iter().collect::<Vec<_>>(), [Capability::Create]);
        let spec = LaunchSpec::builder("a", "b").memory(1).network(Network::None).init(true).build().unwrap();
        for needed in [Capability::LaunchLimits, Capability::LaunchNetwork, Capability::LaunchExtraArgs] {
            assert!(spec.demands().contains(needed));
        }
    }

    #[test]
    fn a_volume_name_is_no_mount_source() {
        assert!(Mount::writable("data", "/data").is_err());
        assert!(Mount::writable("/data", "data").is_err());
    }

    #[test]
    fn networks_and_runtimes_are_never_options() {
        for bad in ["", "-x", "a b", "a\n"] {
            assert!(NetworkName::new(bad).is_err(), "{bad}");
            assert!(OciRuntime::new(bad).is_err(), "{bad}");
        }
        assert!(NetworkName::new("pasta:--map-host-loopback,169.254.1.2").is_ok());
        assert!(OciRuntime::new("/usr/bin/crun").is_ok());
    }
}
