//! How a description is put together: what was refused is kept until the end. The description itself stands in `spec`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{BindMount, LaunchSpec, Network, OciRuntime, PortMapping, PullPolicy};
use crate::{Argv, ContainerName, ContainerPath, Env, ImageRef, InvalidValue, Secret, User};

impl LaunchSpec {
    /// Begins a description; [`LaunchSpecBuilder::build`] reports what was refused.
    pub fn builder(name: impl Into<String>, image: impl Into<String>) -> LaunchSpecBuilder {
        let spec = ContainerName::new(name).and_then(|name| Ok(Self::of(name, ImageRef::new(image)?)));
        LaunchSpecBuilder { spec }
    }

    /// Begins a changed copy.
    pub fn to_builder(&self) -> LaunchSpecBuilder {
        LaunchSpecBuilder { spec: Ok(self.clone()) }
    }
}

/// Builds a [`LaunchSpec`]; the first refused part is reported by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct LaunchSpecBuilder {
    spec: Result<LaunchSpec, InvalidValue>,
}

impl LaunchSpecBuilder {
    /// The command instead of the image's own. Where the image has an entry point (`ENTRYPOINT`), that program is started, and
    /// these words are its arguments, as `podman run IMAGE WORDS…` has it; an engine's own words can take it away
    /// (`extra_args(["--entrypoint="])` on podman).
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

    /// Sets variables that were checked before.
    pub fn envs(self, env: &Env) -> Self {
        self.with(|spec| spec.env.set_all(env))
    }

    /// Publishes a port. Port 0 is refused, and so is any with [`Network::None`] and [`Network::Host`], where nothing can be
    /// published.
    pub fn port(self, port: PortMapping) -> Self {
        self.with(|spec| {
            spec.ports.push(port);
            Ok(())
        })
    }

    /// Mounts a host directory or file.
    pub fn mount(self, mount: BindMount) -> Self {
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
        self.with(|spec| {
            spec.labels.insert(key.into(), value.into());
            Ok(())
        })
    }

    /// Sets an annotation. The key must not be empty or contain `=`.
    pub fn annotation(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|spec| {
            spec.annotations.insert(key.into(), value.into());
            Ok(())
        })
    }

    /// Limits memory, in bytes.
    pub fn memory(self, bytes: u64) -> Self {
        self.with(|spec| {
            spec.memory = Some(bytes);
            Ok(())
        })
    }

    /// Limits CPU time, in thousandths of one CPU: 1500 is one and a half.
    pub fn milli_cpus(self, milli_cpus: u32) -> Self {
        self.with(|spec| {
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
            spec.gpu_args.extend(args.into_iter().map(Into::into));
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
            spec.extra_args.extend(args.into_iter().map(Into::into));
            Ok(())
        })
    }

    /// The description.
    ///
    /// # Errors
    /// The first part that was refused, as [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest).
    pub fn build(self) -> crate::Result<LaunchSpec> {
        Ok(self.spec?.check()?)
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
        ] {
            assert!(refused.clone().build().is_err(), "{refused:?}");
        }
    }
}
