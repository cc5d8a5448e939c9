//! GPUs for containers, and command lines without secrets, for the `rt` workspace.

mod launch_error;
mod podman_options;
mod redaction;
mod scrubber;
mod secret_name;
mod secret_value;

pub use launch_error::{GpuFailure, check_gpu_error};
pub use podman_options::podman_option_takes_value;
pub use redaction::redact_env_args;
pub use rt_protocol::GpuConfigError;
pub use scrubber::{MIN_SECRET_BYTES, ScrubStream, ScrubWriter, Scrubber};
pub use secret_name::is_secret_name;

/// What stands in place of a secret.
pub const MASK: &str = "<redacted>";
