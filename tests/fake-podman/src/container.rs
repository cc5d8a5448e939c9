//! What is kept of a container: what it was made of, and how it is now.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::health_check::HealthCheck;
use crate::time::Nanos;

/// A container as its file has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: Nanos,
    /// Empty for a container of a root directory.
    pub(crate) image_id: String,
    pub(crate) image_name: String,
    /// The caller's own root directory, with `--rootfs`.
    pub(crate) rootfs: Option<PathBuf>,
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) workdir: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) mounts: Vec<BindMount>,
    pub(crate) ports: Vec<Publish>,
    /// Devices of the container device interface; each fails the start.
    pub(crate) cdi_devices: Vec<String>,
    pub(crate) network: String,
    pub(crate) oci_runtime: String,
    pub(crate) memory: u64,
    pub(crate) nano_cpus: u64,
    pub(crate) log_driver: String,
    pub(crate) auto_remove: bool,
    pub(crate) stop_signal: Option<i32>,
    pub(crate) create_command: Vec<String>,
    pub(crate) health: Option<HealthCheck>,
    pub(crate) state: State,
}

/// How a container is now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// The host's pid of the main process, or 0.
    pub(crate) pid: i32,
    /// The pid of its supervisor, or 0.
    pub(crate) supervisor: i32,
    pub(crate) exit_code: i32,
    pub(crate) started: Nanos,
    pub(crate) finished: Nanos,
    /// Exec sessions that the engine knows of, stale ones included.
    pub(crate) sessions: Vec<String>,
}

/// podman's words for a state. `exited` is what inspect and ps call a container that has ended, on
/// both recorded versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Created,
    Running,
    Paused,
    Stopping,
    Exited,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Exited => "exited",
        }
    }

    /// Whether there is a main process.
    pub(crate) fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Stopping)
    }
}

/// A directory or file of the host that is shown in the container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BindMount {
    pub(crate) source: PathBuf,
    pub(crate) destination: String,
    pub(crate) read_only: bool,
}

/// A published port.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Publish {
    /// Empty for every address of the host.
    pub(crate) host_ip: String,
    pub(crate) host_port: u16,
    pub(crate) container_port: u16,
    pub(crate) protocol: String,
}

impl Container {
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}
