//! GPUs for containers, and command lines without secrets, for the `rt` workspace.
//!
//! This crate starts nothing, logs nothing and knows no backend: it reads files and texts, and answers with values. It has
//! two halves. The first is always there, and backends use it: what an engine says of a broken GPU configuration, and what
//! of a command line may be shown. The second, behind the feature `cdi`, looks at a host.
//!
//! # From a wish to a launch
//!
//! What a person or a configuration asks for is a [`GpuSelection`]. Held against a host it becomes [`GpuArgs`], which
//! [`GpuLaunch::gpus`] adds to a launch. A wish that the host cannot serve is an error that says what is missing.
//!
#![cfg_attr(feature = "cdi", doc = "```")]
#![cfg_attr(not(feature = "cdi"), doc = "```ignore")]
//! use rt_gpu::{GpuHost, GpuLaunch, GpuSelection, gpu_run_args};
//! use rt_protocol::LaunchSpec;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = tempfile::tempdir()?;
//! # std::fs::create_dir_all(root.path().join("etc/cdi"))?;
//! # let text = r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [
//! #     {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}}]}"#;
//! # std::fs::write(root.path().join("etc/cdi/nvidia.json"), text)?;
//! # let host = GpuHost::at(root.path()); /*
//! let host = GpuHost::new();
//! # */
//! let wish: GpuSelection = "nvidia:0".parse()?;
//! let args = gpu_run_args(&wish, &host)?;
//! let spec = LaunchSpec::builder("train", "localhost/torch").gpus(&args).build()?;
//! assert_eq!(spec.gpu_args(), ["--device", "nvidia.com/gpu=0"]);
//!
//! let missing = gpu_run_args(&"amd".parse()?, &host).unwrap_err();
//! assert!(missing.to_string().contains("/dev/kfd"));
//! # Ok(())
//! # }
//! ```
//!
//! # What a host has
//!
//! `GpuHost` is a host below any root directory, so that tests need no GPU. `GpuHost::report` says for each vendor how its
//! GPUs would get into a container, and what is missing; `CdiRegistry` reads the CDI specs as an engine does, reports every
//! problem with its file, and `CdiRegistry::check` holds each declared device against the files of the host. Which
//! directories and which versions a given podman reads is a [`CdiSource`], which `rt-podman` fills in from its profile.
//!
//! Spec files are input that somebody else wrote. Each is read up to 4 MiB; nesting, values and aliases are bounded; what is
//! no regular file is not read, and a named pipe does not block.
//!
//! # When a launch fails
//!
//! [`check_gpu_error`] tells a failure over GPUs from any other, by the engine's own words, and answers the
//! [`GpuConfigError`] with the hint. `rt-podman` asks it for every failed create and start.
//!
//! # What may be shown
//!
//! [`redact_env_args`] masks a podman command line for a log or an error; [`is_secret_name`] is its policy. A [`Scrubber`]
//! masks known values in any text, also in base64 and percent-encoded, and also when the text comes in pieces.
//!
//! ```
//! let shown = rt_gpu::redact_env_args(&["podman", "exec", "-eTOKEN=s3cret", "web", "env"]);
//! assert_eq!(shown[2].to_str(), Some("-eTOKEN=<redacted>"));
//!
//! let scrubber = rt_gpu::Scrubber::new(&["hunter2".into()]);
//! assert_eq!(scrubber.scrub_text("connecting to db:hunt%65r2@host"), "connecting to db:<redacted>@host");
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cdi")]
mod cdi;
mod cdi_source;
mod gpu_args;
mod gpu_launch;
#[cfg(feature = "cdi")]
mod host;
mod launch_error;
mod podman_options;
mod redaction;
#[cfg(feature = "cdi")]
mod rooted_path;
#[cfg(feature = "cdi")]
mod run_args;
mod scrubber;
mod secret_name;
mod secret_value;
mod selection;
mod vendor;

#[cfg(feature = "cdi")]
pub use cdi::{
    CdiDevice, CdiDeviceNode, CdiEdits, CdiFault, CdiHook, CdiMount, CdiProblem, CdiRegistry, CdiSpec,
    DeviceCheck, DeviceState, LARGEST_SPEC_FILE, MOST_SPEC_FILES, MissingPath, PathRole, SpecCheck,
};
pub use cdi_source::{CdiSource, CdiVersion};
pub use gpu_args::{GpuArg, GpuArgs, GpuGrant, GpuTier};
pub use gpu_launch::GpuLaunch;
#[cfg(feature = "cdi")]
pub use host::{Gpu, GpuHost, GpuReport, PciAddress, VendorReport, check_gpu_available, detect_gpu_vendors};
pub use launch_error::{GpuFailure, check_gpu_error};
pub use podman_options::podman_option_takes_value;
pub use redaction::redact_env_args;
pub use rt_protocol::GpuConfigError;
#[cfg(feature = "cdi")]
pub use run_args::{GpuUnavailable, gpu_run_args};
pub use scrubber::{MIN_SECRET_BYTES, ScrubStream, ScrubWriter, Scrubber};
pub use secret_name::is_secret_name;
pub use selection::{GpuSelection, GpuSet};
pub use vendor::GpuVendor;

/// What stands in place of a secret.
pub const MASK: &str = "<redacted>";
