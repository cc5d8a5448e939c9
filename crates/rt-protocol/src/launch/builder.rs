//! The builder of a `LaunchSpec`. It keeps the first invalid value until the end.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    BindMount, Entrypoint, HealthCheck, LaunchSpec, LinuxCapability, Network, OciRuntime, PortMapping,
    PullPolicy, RestartPolicy, SecurityOption, Tmpfs, Volume,
};
use crate::{Argv, ContainerName, ContainerPath, Env, ImageRef, InvalidValue, Owner, Secret, Signal, User};

impl LaunchSpec {
    /// Returns a builder. [`LaunchSpecBuilder::build`] reports invalid values.
    pub fn builder(name: impl Into<String>, image: impl Into<String>) -> LaunchSpecBuilder {
        let spec = ContainerName::new(name).and_then(|name| Ok(Self::of(name, ImageRef::new(image)?)));
        LaunchSpecBuilder { spec }
    }

    /// Returns a builder that begins with a copy of this description.
    pub fn to_builder(&self) -> LaunchSpecBuilder {
        LaunchSpecBuilder { spec: Ok(self.clone()) }
    }
}

/// Builds a [`LaunchSpec`], which has an example. [`build`](Self::build) reports the first invalid
/// value.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct LaunchSpecBuilder {
    spec: Result<LaunchSpec, InvalidValue>,
}

impl LaunchSpecBuilder {
    /// Sets the command that replaces the image's own.
    ///
    /// If the image has an `ENTRYPOINT`, that program is started, and these words are its
    /// arguments, as with `podman run IMAGE WORDS…`; see [`no_entrypoint`](Self::no_entrypoint).
    pub fn command<I, S>(self, argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.with(|spec| Argv::new(argv).map(|argv| spec.command = Some(argv)))
    }

    /// Sets a variable. Logs and errors may show its value.
    pub fn env(self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.with(|spec| spec.env.set(name, value))
    }

    /// Sets a secret variable. No argv, log or error shows its value.
    pub fn secret_env(self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.with(|spec| spec.env.set_secret(name, value.into()))
    }

    /// Sets variables that were checked before.
    pub fn envs(self, env: &Env) -> Self {
        self.with(|spec| spec.env.set_all(env))
    }

    /// Publishes a port. Port 0 is invalid. So is any port with [`Network::None`] or
    /// [`Network::Host`], which cannot publish ports.
    pub fn port(self, port: PortMapping) -> Self {
        self.set(|spec| spec.ports.push(port))
    }

    /// Mounts a host directory or file.
    pub fn mount(self, mount: BindMount) -> Self {
        self.set(|spec| spec.mounts.push(mount))
    }

    /// Sets the user of the main process.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|spec| User::new(user).map(|user| spec.user = Some(user)))
    }

    /// Sets the directory in which the main process starts.
    pub fn workdir(self, path: impl Into<PathBuf>) -> Self {
        self.with(|spec| ContainerPath::new(path).map(|path| spec.workdir = Some(path)))
    }

    /// Sets a label. The key must not be empty or contain `=`.
    pub fn label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|spec| spec.labels.extend([(key.into(), value.into())]))
    }

    /// Sets the [label](Owner::LABEL) that names the process for which the container is there. See
    /// [`ContainerRuntimeExt::remove_orphans`](crate::ContainerRuntimeExt::remove_orphans).
    pub fn owner(self, owner: &Owner) -> Self {
        self.label(Owner::LABEL, owner.to_string())
    }

    /// Sets an annotation. The key must not be empty or contain `=`.
    pub fn annotation(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|spec| spec.annotations.extend([(key.into(), value.into())]))
    }

    /// Limits the memory, in bytes.
    pub fn memory(self, bytes: u64) -> Self {
        self.set(|spec| spec.memory = Some(bytes))
    }

    /// Limits the CPU time, in thousandths of one CPU: 1500 is one and a half.
    pub fn milli_cpus(self, milli_cpus: u32) -> Self {
        self.set(|spec| spec.milli_cpus = Some(milli_cpus))
    }

    /// Sets the network.
    pub fn network(self, network: Network) -> Self {
        self.set(|spec| spec.network = network)
    }

    /// Adds GPU arguments, as `rt-gpu` builds them.
    pub fn gpu_args<I, S>(self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.set(|spec| spec.gpu_args.extend(args.into_iter().map(Into::into)))
    }

    /// Sets the OCI runtime, such as `krun`.
    pub fn oci_runtime(self, runtime: OciRuntime) -> Self {
        self.set(|spec| spec.oci_runtime = Some(runtime))
    }

    /// Sets whether a small init runs as process 1 and reaps zombies.
    pub fn init(self, init: bool) -> Self {
        self.set(|spec| spec.init = init)
    }

    /// Sets when the image is pulled; the default is [`PullPolicy::Missing`].
    pub fn pull(self, policy: PullPolicy) -> Self {
        self.set(|spec| spec.pull = policy)
    }

    /// Sets the words before the command, in place of the image's `ENTRYPOINT` and `CMD`.
    ///
    /// ```
    /// # use rt_protocol::LaunchSpec;
    /// // The same as the command `make test`, whatever the image's entrypoint is.
    /// let spec = LaunchSpec::builder("job", "alpine").entrypoint(["make"]).command(["test"]);
    /// # spec.build()?;
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    pub fn entrypoint<I, S>(self, argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.with(|spec| Argv::new(argv).map(|argv| spec.entrypoint = Entrypoint::Argv(argv)))
    }

    /// Removes the image's entrypoint: the command is the whole argv.
    pub fn no_entrypoint(self) -> Self {
        self.set(|spec| spec.entrypoint = Entrypoint::None)
    }

    /// Sets whether the root file system is read-only. Then only mounts, volumes and
    /// [`tmpfs`](Self::tmpfs) can be written to; `/tmp` and `/run` cannot either.
    pub fn read_only_root(self, read_only: bool) -> Self {
        self.set(|spec| spec.read_only_root = read_only)
    }

    /// Mounts an empty directory in memory.
    pub fn tmpfs(self, tmpfs: Tmpfs) -> Self {
        self.set(|spec| spec.tmpfs.push(tmpfs))
    }

    /// Mounts a volume of the engine.
    pub fn volume(self, volume: Volume) -> Self {
        self.set(|spec| spec.volumes.push(volume))
    }

    /// Limits the number of processes and threads. 0 is invalid.
    pub fn pids_limit(self, most: u32) -> Self {
        self.set(|spec| spec.pids_limit = Some(most))
    }

    /// Adds a capability of the kernel to the engine's default ones: `NET_ADMIN`, `ALL`. One that
    /// is also dropped is invalid.
    pub fn cap_add(self, capability: impl Into<String>) -> Self {
        self.with(|spec| LinuxCapability::new(capability).map(|it| spec.cap_add.extend([it])))
    }

    /// Removes a capability of the kernel from the engine's default ones: `CHOWN`, `ALL`.
    pub fn cap_drop(self, capability: impl Into<String>) -> Self {
        self.with(|spec| LinuxCapability::new(capability).map(|it| spec.cap_drop.extend([it])))
    }

    /// Adds a security option.
    pub fn security_option(self, option: SecurityOption) -> Self {
        self.set(|spec| spec.security_options.push(option))
    }

    /// Sets whether the engine starts it again when it has ended by itself.
    pub fn restart(self, policy: RestartPolicy) -> Self {
        self.set(|spec| spec.restart = policy)
    }

    /// Sets the health check. Times below a second are invalid.
    pub fn health_check(self, check: HealthCheck) -> Self {
        self.set(|spec| spec.health_check = Some(check))
    }

    /// Sets the signal that a [`stop`](crate::Container::stop) sends first, in place of `TERM`.
    pub fn stop_signal(self, signal: Signal) -> Self {
        self.set(|spec| spec.stop_signal = Some(signal))
    }

    /// Adds arguments in the engine's syntax, as a last resort. They are passed on unchanged, so
    /// never build them from untrusted input.
    pub fn extra_args<I, S>(self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.set(|spec| spec.extra_args.extend(args.into_iter().map(Into::into)))
    }

    /// Returns the description.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for the first invalid value.
    pub fn build(self) -> crate::Result<LaunchSpec> {
        Ok(self.spec?.check()?)
    }

    fn set(self, change: impl FnOnce(&mut LaunchSpec)) -> Self {
        self.with(|spec| {
            change(spec);
            Ok(())
        })
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

/// What podman and Docker take for the times of a health check.
const SHORTEST_HEALTH_TIME: Duration = Duration::from_secs(1);

impl LaunchSpec {
    /// Checks what its parts do not check themselves.
    pub(crate) fn check(self) -> Result<Self, InvalidValue> {
        let refused = |what, value: &str, reason: &str| Err(InvalidValue::new(what, value, reason));
        if self.ports.iter().any(|port| port.container_port() == 0 || port.host_port() == Some(0)) {
            return refused(
                "port",
                "0",
                "ports are 1 to 65535; leave the host port out to let one be picked",
            );
        }
        if let (Some(port), Network::None | Network::Host) = (self.ports.first(), &self.network) {
            let port = port.container_port().to_string();
            return refused("port", &port, "a container without a network of its own publishes none");
        }
        if self.memory == Some(0) {
            return refused("memory limit", "0", "it must be at least one byte");
        }
        if self.milli_cpus == Some(0) {
            return refused("CPU limit", "0", "it must be at least one thousandth");
        }
        for (what, pairs) in [("label", &self.labels), ("annotation", &self.annotations)] {
            for (key, value) in pairs {
                if key.is_empty() || key.contains(['=', '\0']) {
                    return refused(what, key, "the key must not be empty or contain `=` or NUL");
                }
                if value.contains('\0') {
                    return refused(what, key, "the value must not contain NUL");
                }
            }
        }
        if self.pids_limit == Some(0) {
            return refused("process limit", "0", "it must be at least one");
        }
        for tmpfs in &self.tmpfs {
            if tmpfs.size() == Some(0) {
                return refused("tmpfs size", "0", "it must be at least one byte");
            }
            if tmpfs.mode() > 0o7777 {
                let mode = format!("{:o}", tmpfs.mode());
                return refused("tmpfs mode", &mode, "it must be at most 7777 (octal)");
            }
        }
        if let Some(twice) = self.cap_add.intersection(&self.cap_drop).next() {
            return refused("capability", twice.as_str(), "it is both added and dropped");
        }
        if let Some(check) = &self.health_check {
            for time in [check.interval(), check.timeout()].into_iter().flatten() {
                if time < SHORTEST_HEALTH_TIME {
                    let time = format!("{time:?}");
                    return refused("health check", &time, "its times must be at least one second");
                }
            }
        }
        let mut destinations: Vec<_> = self.mounts.iter().map(BindMount::destination).collect();
        destinations.extend(self.volumes.iter().map(Volume::destination));
        destinations.extend(self.tmpfs.iter().map(Tmpfs::destination));
        destinations.sort();
        if let Some(twice) = destinations.windows(2).find(|pair| pair[0] == pair[1]) {
            let path = twice[0].to_string();
            return refused("mount destination", &path, "two mounts have it");
        }
        for (what, words) in [("GPU argument", &self.gpu_args), ("extra argument", &self.extra_args)] {
            if words.iter().any(|word| word.as_encoded_bytes().contains(&0)) {
                return Err(InvalidValue::hidden(what, "a word contains a NUL byte"));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refused_part_is_the_one_that_is_told() {
        let twice = LaunchSpec::builder("a", "b").memory(0).milli_cpus(0).init(true).build().unwrap_err();
        assert!(twice.to_string().contains("memory limit"), "{twice}");
        for refused in [
            LaunchSpec::builder("-a", "b"),
            LaunchSpec::builder("a", "b").port(PortMapping::any_port_on_loopback(0)),
            LaunchSpec::builder("a", "b").port(PortMapping::on_loopback(0, 1)),
            LaunchSpec::builder("a", "b").label("", "x"),
            LaunchSpec::builder("a", "b").annotation("a=b", "x"),
            LaunchSpec::builder("a", "b").port(PortMapping::any_port_on_loopback(80)).network(Network::None),
            LaunchSpec::builder("a", "b").network(Network::Host).port(PortMapping::any_port_on_loopback(80)),
            LaunchSpec::builder("a", "b").extra_args(["a\0"]),
            LaunchSpec::builder("a", "b").entrypoint([""]),
            LaunchSpec::builder("a", "b").tmpfs(Tmpfs::new("/t").unwrap().with_size(0)),
            LaunchSpec::builder("a", "b").tmpfs(Tmpfs::new("/t").unwrap().with_mode(0o10000)),
            LaunchSpec::builder("a", "b").pids_limit(0),
            LaunchSpec::builder("a", "b").cap_add("NOSUCH"),
            LaunchSpec::builder("a", "b").cap_add("CHOWN").cap_drop("cap_chown"),
            LaunchSpec::builder("a", "b")
                .tmpfs(Tmpfs::new("/t").unwrap())
                .volume(Volume::anonymous("/t").unwrap()),
            LaunchSpec::builder("a", "b")
                .health_check(HealthCheck::new(["true"]).unwrap().with_timeout(Duration::from_millis(999))),
        ] {
            assert!(refused.clone().build().is_err(), "{refused:?}");
        }
    }
}
