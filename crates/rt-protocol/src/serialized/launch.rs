//! The description of a container, which is checked as a whole when it is deserialized.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes;
use crate::{
    Argv, BindMount, ContainerName, ContainerPath, Entrypoint, Env, HealthCheck, ImageRef, LaunchSpec,
    LinuxCapability, Network, OciRuntime, PortMapping, PullPolicy, RestartPolicy, SecurityOption, Signal,
    Tmpfs, User, Volume,
};

/// A [`LaunchSpec`] before it is checked.
#[derive(Serialize, Deserialize)]
#[serde(remote = "LaunchSpec", deny_unknown_fields)]
struct Unchecked {
    name: ContainerName,
    image: ImageRef,
    #[serde(default)]
    command: Option<Argv>,
    #[serde(default)]
    env: Env,
    #[serde(default)]
    ports: Vec<PortMapping>,
    #[serde(default)]
    mounts: Vec<BindMount>,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    workdir: Option<ContainerPath>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    memory: Option<u64>,
    #[serde(default)]
    milli_cpus: Option<u32>,
    #[serde(default)]
    network: Network,
    #[serde(default, with = "bytes::list")]
    gpu_args: Vec<OsString>,
    #[serde(default)]
    oci_runtime: Option<OciRuntime>,
    #[serde(default)]
    init: bool,
    #[serde(default)]
    pull: PullPolicy,
    #[serde(default)]
    entrypoint: Entrypoint,
    #[serde(default)]
    read_only_root: bool,
    #[serde(default)]
    tmpfs: Vec<Tmpfs>,
    #[serde(default)]
    volumes: Vec<Volume>,
    #[serde(default)]
    pids_limit: Option<u32>,
    #[serde(default)]
    cap_add: BTreeSet<LinuxCapability>,
    #[serde(default)]
    cap_drop: BTreeSet<LinuxCapability>,
    #[serde(default)]
    security_options: Vec<SecurityOption>,
    #[serde(default)]
    restart: RestartPolicy,
    #[serde(default)]
    health_check: Option<HealthCheck>,
    #[serde(default)]
    stop_signal: Option<Signal>,
    #[serde(default, with = "bytes::list")]
    extra_args: Vec<OsString>,
}

impl Serialize for LaunchSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Unchecked::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for LaunchSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Unchecked::deserialize(deserializer)?.check().map_err(D::Error::custom)
    }
}

/// The parts of a [`BindMount`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MountParts<D> {
    #[serde(with = "bytes")]
    source: PathBuf,
    destination: D,
    #[serde(default)]
    read_only: bool,
}

impl Serialize for BindMount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (source, destination) = (self.source().to_owned(), self.destination());
        MountParts { source, destination, read_only: self.is_read_only() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BindMount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let MountParts { source, destination, read_only } =
            MountParts::<ContainerPath>::deserialize(deserializer)?;
        let make = if read_only { Self::read_only } else { Self::writable };
        make(source, destination.as_path().to_owned()).map_err(D::Error::custom)
    }
}
