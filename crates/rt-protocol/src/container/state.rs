//! The state of a container, and what an engine knows about it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::word_enum;
use crate::{ContainerId, ContainerName, ImageId};

word_enum! {
    /// The state of a container, in podman's terms (`libpod/define`, `ContainerStatus`).
    ///
    /// Absence is not a state: methods that return a state return `None` for it.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ContainerState {
        /// Created, and never started.
        Created = "created" | "configured",
        /// Prepared by the OCI runtime; its main process does not run yet.
        Initialized = "initialized",
        /// Its main process is running.
        Running = "running",
        /// Paused: its processes are frozen.
        Paused = "paused",
        /// Being stopped; its main process may still run.
        Stopping = "stopping",
        /// Its main process has ended, and the engine has not cleaned up yet.
        Stopped = "stopped",
        /// Its main process has ended.
        Exited = "exited",
        /// Being removed.
        Removing = "removing",
    } else {
        /// A state that this version does not know.
        Other
    }
}

impl ContainerState {
    /// Returns whether the state is [`Running`](Self::Running). [`Stopping`](Self::Stopping) is
    /// not.
    pub fn is_running(&self) -> bool {
        *self == Self::Running
    }

    /// Returns whether the main process has ended.
    pub fn has_exited(&self) -> bool {
        matches!(self, Self::Stopped | Self::Exited)
    }
}

/// What an engine reported about one container, in one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ContainerInfo {
    /// Its name.
    pub name: ContainerName,
    /// Its full id.
    pub id: ContainerId,
    /// Its state.
    pub state: ContainerState,
    /// The full id of its image, if the backend has images.
    pub image_id: Option<ImageId>,
    /// The name of its image, as it was given at the creation.
    pub image_name: Option<String>,
    /// When it was created.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub created: Option<SystemTime>,
    /// When it was last started; `None` if never.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub started_at: Option<SystemTime>,
    /// When its main process last ended; `None` if never.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub finished_at: Option<SystemTime>,
    /// The exit code of its main process, if that has ended.
    pub exit_code: Option<i32>,
    /// Whether its main process has ended because a memory limit was reached. `None` if it has not
    /// ended, or if that is not known: in a listing, and where the engine may have missed it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub oom_killed: Option<bool>,
    /// Its health, if it has a check and the engine reported it.
    pub health: Option<Health>,
    /// Its mounts. In a listing, their sources may be missing.
    #[cfg_attr(feature = "serde", serde(default))]
    pub mounts: Vec<MountInfo>,
    /// Its published ports.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ports: Vec<PublishedPort>,
    /// Its labels.
    #[cfg_attr(feature = "serde", serde(default))]
    pub labels: BTreeMap<String, String>,
    /// The name of its OCI runtime (`crun`, `krun`), if the engine reported it.
    pub oci_runtime: Option<String>,
}

impl ContainerInfo {
    /// Returns the least that is known about any container; all other fields are empty.
    pub fn new(name: ContainerName, id: ContainerId, state: ContainerState) -> Self {
        Self {
            name,
            id,
            state,
            image_id: None,
            image_name: None,
            created: None,
            started_at: None,
            finished_at: None,
            exit_code: None,
            oom_killed: None,
            health: None,
            mounts: Vec::new(),
            ports: Vec::new(),
            labels: BTreeMap::new(),
            oci_runtime: None,
        }
    }
}

word_enum! {
    /// The result of a container's health check.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Health {
        /// No result yet.
        Starting = "starting",
        /// The last check passed.
        Healthy = "healthy",
        /// Enough checks in a row failed.
        Unhealthy = "unhealthy",
    } else {
        /// A result that this version does not know.
        Other
    }
}

/// One mount of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MountInfo {
    /// The path on the host, if reported.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::bytes::optional"))]
    pub source: Option<PathBuf>,
    /// The path in the container.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::bytes"))]
    pub destination: PathBuf,
}

impl MountInfo {
    /// Returns a mount at `destination`; `source` is the path on the host, if known.
    pub fn new(source: Option<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self { source, destination: destination.into() }
    }
}

/// One published port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PublishedPort {
    /// The port inside the container.
    pub container_port: u16,
    /// The transport protocol.
    pub protocol: TransportProtocol,
    /// The address on the host; `None` if the engine reported none, which means all addresses.
    pub host_ip: Option<IpAddr>,
    /// The port on the host.
    pub host_port: u16,
}

impl PublishedPort {
    /// Returns a published port.
    pub fn new(
        container_port: u16,
        protocol: TransportProtocol,
        host_ip: Option<IpAddr>,
        host_port: u16,
    ) -> Self {
        Self { container_port, protocol, host_ip, host_port }
    }
}

word_enum! {
    /// The transport protocol of a published port.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum TransportProtocol: "transport protocol" {
        /// TCP.
        #[default]
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// SCTP.
        Sctp = "sctp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_unknown_ones_are_kept() {
        for word in [
            "created",
            "initialized",
            "running",
            "paused",
            "stopping",
            "stopped",
            "exited",
            "removing",
            "odd",
        ] {
            assert_eq!(ContainerState::from(word).as_str(), word);
        }
        assert!(!ContainerState::from("stopping").is_running());
        assert!(ContainerState::from("Running").is_running());
    }
}
