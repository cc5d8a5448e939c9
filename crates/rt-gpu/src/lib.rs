//! GPUs for containers, and command lines without secrets, for the `rt` workspace.

mod cdi_source;
mod gpu_args;
mod gpu_launch;
mod launch_error;
mod podman_options;
mod redaction;
mod scrubber;
mod secret_name;
mod secret_value;
mod selection;
mod vendor;

pub use cdi_source::{CdiSource, CdiVersion};
pub use gpu_args::{GpuArg, GpuArgs, GpuGrant, GpuTier};
pub use gpu_launch::GpuLaunch;
pub use launch_error::{GpuFailure, check_gpu_error};
pub use podman_options::podman_option_takes_value;
pub use redaction::redact_env_args;
pub use rt_protocol::GpuConfigError;
pub use scrubber::{MIN_SECRET_BYTES, ScrubStream, ScrubWriter, Scrubber};
pub use secret_name::is_secret_name;
pub use selection::{GpuSelection, GpuSet};
pub use vendor::GpuVendor;

/// What stands in place of a secret.
pub const MASK: &str = "<redacted>";
