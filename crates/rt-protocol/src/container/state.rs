//! The state of a container, and what is known of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::word_enum;
use crate::{ContainerId, ContainerName, ImageId};

/// The state of a container, by podman's words (`libpod/define`, `ContainerStatus`).
///
/// Absence is not a state: it is `None` where a state is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContainerState {
    /// Made and never started.
    Created,
    /// Prepared by the OCI runtime, its process not yet running.
    Initialized,
    /// Its main process runs.
    Running,
    /// Frozen.
    Paused,
    /// Being stopped; its process may still run.
    Stopping,
    /// Its process has ended, and the engine has yet to clean up.
    Stopped,
    /// Its process has ended.
    Exited,
    /// Being removed.
    Removing,
    /// A word that this version of the contract does not know.
    Other(String),
}

impl ContainerState {
    /// Whether it is [`Running`](Self::Running); a container that is stopping is not.
    pub fn is_running(&self) -> bool {
        *self == Self::Running
    }

    /// Whether the main process has ended.
    pub fn has_exited(&self) -> bool {
        matches!(self, Self::Stopped | Self::Exited)
    }
}

word_enum!(ContainerState, {
    Created = "created" | "configured",
    Initialized = "initialized",
    Running = "running",
    Paused = "paused",
    Stopping = "stopping",
    Stopped = "stopped",
    Exited = "exited",
    Removing = "removing",
} else Other);

/// What an engine knows of one container, from one question.
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
    /// The name by which its image was asked for.
    pub image_name: Option<String>,
    /// When it was made.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub created: Option<SystemTime>,
    /// When it was last started; `None` when never.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub started_at: Option<SystemTime>,
    /// When its process last ended; `None` when never.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub finished_at: Option<SystemTime>,
    /// The exit code of its main process, once that has ended.
    pub exit_code: Option<i32>,
    /// Its health, when it has a check and the question reports it.
    pub health: Option<Health>,
    /// What is mounted into it. From a listing, sources may be missing.
    #[cfg_attr(feature = "serde", serde(default))]
    pub mounts: Vec<MountInfo>,
    /// Its published ports.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ports: Vec<PublishedPort>,
    /// Its labels.
    #[cfg_attr(feature = "serde", serde(default))]
    pub labels: BTreeMap<String, String>,
    /// The name of its OCI runtime (`crun`, `krun`), when the question reports it.
    pub oci_runtime: Option<String>,
}

impl ContainerInfo {
    /// The least that is known of any container; the other fields are empty.
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
            health: None,
            mounts: Vec::new(),
            ports: Vec::new(),
            labels: BTreeMap::new(),
            oci_runtime: None,
        }
    }
}

/// The verdict of a container's health check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// No verdict yet.
    Starting,
    /// The last check passed.
    Healthy,
    /// Enough checks failed in a row.
    Unhealthy,
    /// A word that this version of the contract does not know.
    Other(String),
}

word_enum!(Health, {
    Starting = "starting",
    Healthy = "healthy",
    Unhealthy = "unhealthy",
} else Other);

/// One mount of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MountInfo {
    /// The path on the host, when reported.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::bytes::optional"))]
    pub source: Option<PathBuf>,
    /// The path in the container.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::bytes"))]
    pub destination: PathBuf,
}

impl MountInfo {
    /// A mount of `source`, if that is known, at `destination`.
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
    /// The transport.
    pub protocol: TransportProtocol,
    /// The address it is bound to on the host; `None` when the engine named none, which means all.
    pub host_ip: Option<IpAddr>,
    /// The port on the host.
    pub host_port: u16,
}

impl PublishedPort {
    /// A published port.
    pub fn new(
        container_port: u16,
        protocol: TransportProtocol,
        host_ip: Option<IpAddr>,
        host_port: u16,
    ) -> Self {
        Self { container_port, protocol, host_ip, host_port }
    }
}

/// The transport of a published port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

word_enum!(TransportProtocol, "transport protocol", { Tcp = "tcp", Udp = "udp", Sctp = "sctp", });

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
