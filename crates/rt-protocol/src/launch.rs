//! The description of a new container, its parts, and how it is built.

mod builder;
pub(crate) mod gpu_config_error;
mod mount;
mod network;
mod oci_runtime;
mod port_mapping;
mod pull_policy;
mod spec;

pub use builder::LaunchSpecBuilder;
pub use mount::BindMount;
pub use network::{Network, NetworkName};
pub use oci_runtime::OciRuntime;
pub use port_mapping::PortMapping;
pub use pull_policy::PullPolicy;
pub use spec::LaunchSpec;
