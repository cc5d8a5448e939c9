//! GPUs for containers, and redaction of secrets in command lines and texts, for the `rt`
//! workspace.
//!
//! This crate reads files and texts and returns values. It starts no process, logs nothing and
//! knows no backend. It has two parts:
//!
//! - Always available, and used by backends: recognising launches that failed because of a GPU
//!   configuration, and redaction.
//! - With the feature `cdi`: finding the GPUs of a host, and the arguments that give them to a
//!   container.
//!
//! # Selecting GPUs for a launch
//!
//! A [`GpuSelection`] says which GPUs a container should get. `gpu_run_args` turns it into
//! [`GpuArgs`] for a given host, and [`GpuLaunch::gpus`] adds these to a launch. If the host lacks
//! something, the error says what is missing.
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
//! # Finding the GPUs of a host
//!
//! `GpuHost` reads the files of a host. Its root directory can be any directory, so tests need no
//! GPU.
//!
//! - `GpuHost::report` says for each vendor how its GPUs get into a container, and what is missing.
//! - `CdiRegistry` reads the CDI specs as an engine does, and reports each problem with its file.
//! - `CdiRegistry::check` compares each declared device with the files of the host.
//!
//! A [`CdiSource`] says which directories and which CDI versions an engine reads. `rt-podman` fills
//! it in for the podman that it found.
//!
//! CDI specs are untrusted input. At most 4 MiB of a file are read; nesting, the number of values
//! and aliases are limited. Only regular files are read, and a named pipe does not block.
//!
//! # Recognising a failed launch
//!
//! [`check_gpu_error`] recognises a failure that is about GPUs by the engine's own words. It
//! returns a [`GpuConfigError`] with a hint. `rt-podman` calls it for every failed create and
//! start.
//!
//! # Redacting secrets
//!
//! [`redact_env_args`] masks the secrets of a podman command line, for a log or an error;
//! [`is_secret_name`] decides which names are secret. A [`Scrubber`] masks known values in any
//! text, also in base64, percent-encoded, and when the text arrives in pieces.
//!
//! ```
//! let shown = rt_gpu::redact_env_args(&["podman", "exec", "-eTOKEN=s3cret", "web", "env"]);
//! assert_eq!(shown[2].to_str(), Some("-eTOKEN=<redacted>"));
//!
//! let scrubber = rt_gpu::Scrubber::new(&["hunter2".into()]);
//! assert_eq!(scrubber.scrub_text("db:hunt%65r2@host"), "db:<redacted>@host");
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

/// Replaces a secret in redacted texts.
pub const MASK: &str = "<redacted>";
