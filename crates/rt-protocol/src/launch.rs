//! The description of a new container, its parts, and its builder.

mod builder;
mod entrypoint;
pub(crate) mod gpu_config_error;
mod health_check;
mod linux_capability;
mod mount;
mod network;
mod oci_runtime;
mod port_mapping;
mod pull_policy;
mod restart_policy;
mod security_option;
mod spec;
mod tmpfs;
mod volume;

pub use builder::LaunchSpecBuilder;
pub use entrypoint::Entrypoint;
pub use health_check::HealthCheck;
pub use linux_capability::LinuxCapability;
pub use mount::BindMount;
pub use network::{Network, NetworkName};
pub use oci_runtime::OciRuntime;
pub use port_mapping::PortMapping;
pub use pull_policy::PullPolicy;
pub use restart_policy::RestartPolicy;
pub use security_option::SecurityOption;
pub use spec::LaunchSpec;
pub use tmpfs::Tmpfs;
pub use volume::{Volume, VolumeName};
