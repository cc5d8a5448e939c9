//! The contract of the `rt` workspace: traits, requests, results and errors for running commands in
//! containers and microVMs.
//!
//! A program uses a [`ContainerRuntime`], and the [`Container`] handles that it returns. Backends
//! implement these two traits: `rt-podman`, `rt-krun`, `rt-null`, or one of your own, with three
//! required methods each. This crate never starts a process, never logs by itself, and knows no
//! backend. It only blocks where a caller waits ([`Until`], [`ReadyWhen`]), and starts no thread
//! but the one of a [`BackgroundCommand`].
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use rt_null::NullRuntime;
//! use rt_protocol::{
//!     ContainerRuntime, ContainerRuntimeExt, ErrorKind, ExecRequest, LaunchSpec, Until,
//! };
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let runtime = NullRuntime::new();
//! let limit = Duration::from_secs(60);
//! let job = runtime.launch(&LaunchSpec::builder("job", "alpine").build()?, limit)?;
//!
//! let request =
//!     ExecRequest::builder(["make", "test"]).workdir("/src").env("CI", "1").build()?;
//! let result = job.exec(&request, &Until::after(limit))?;
//! println!("{}: {}", result.outcome, result.stdout.text());
//!
//! // A missing container is an error with a kind for the program and a text for people.
//! let error = runtime.exec_in("other", ["true"], limit).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NoSuchContainer);
//! assert!(error.to_string().contains("`other`"));
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//!
//! - **Present, absent and unknown are three results.** An engine that fails is an error, never an
//!   absent container or an empty list.
//! - **A non-zero exit code is a result.** [`ExitOutcome`] is a code, a signal, or lost. Lost is
//!   never reported as 0.
//! - **A timeout ends the command**, not only the wait for it. The error says what is left of it
//!   ([`KillReport`]).
//! - **Everything is limited**: time by [`Until`], memory by [`OutputLimit`], a log line by
//!   [`LogOptions::max_line_bytes`].
//! - **Nothing is left behind.** When a call has returned, the only things left are those that the
//!   runtime keeps by its documented limits, such as connections and agents. They end with the
//!   runtime and its handles.
//! - **Output is bytes.** Nothing is decoded or changed; text is a view.
//! - **Secrets have a type**, [`Secret`]. No argv, log, error or `Debug` text shows one.
//! - **Values are checked once**, when they are created: [`ContainerName`], [`Argv`], [`EnvName`]
//!   and others.
//! - **No field of a request is ignored.** A backend rejects what it does not support before it
//!   starts anything ([`ExecRequest::required_capabilities`], [`ContainerRuntime::capabilities`]).
//!
//! # Serialization
//!
//! With the feature `serde`, plain data implements `Serialize` and `Deserialize`: requests,
//! options, results, states, events and errors.
//!
//! - Deserialized values are checked as by their builders, so they are always valid.
//! - Fields have the names of the Rust fields. Enums are their words (`no-such-container`).
//! - Bytes, arguments and paths are text if they are UTF-8, and otherwise `{"hex": "ff00"}`. Such
//!   values need a self-describing format, such as JSON.
//! - Requests and options reject unknown fields, since no field may be ignored. Results ignore
//!   them.
//! - A [`Secret`] is never serialized. Of a secret variable, only its name and that it is secret
//!   are written, so that requests can be logged. Reading such a variable is an error, because the
//!   command would run without its secret.
//! - Arguments, labels and output are written as they are, even if they contain secrets.
//! - Of the causes of an error ([`source`](std::error::Error::source)), the texts are kept.
//!
//! # Tracing
//!
//! The feature `tracing` adds `OperationSpan`, which backends open for each operation. Those of
//! this workspace do.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod capability;
mod container;
mod error;
mod exec;
mod forward;
mod image;
mod launch;
#[cfg(feature = "tracing")]
mod operation_span;
mod runtime;
mod secret;
#[cfg(feature = "serde")]
mod serialized;
mod streams;
#[doc(hidden)]
pub mod sync;
mod values;
mod wait;

pub use capability::{Capabilities, Capability};
pub use container::Container;
pub use container::container_ext::ContainerExt;
pub use container::copy::CopyOptions;
pub use container::file::{DirEntry, FileInfo, FileKind, FileMode, FileOptions, FileOwner, file_operation};
pub use container::key::ContainerKey;
pub use container::owner::{Liveness, Owner};
pub use container::remove::{ContainerRemoveResult, ImageRemoval};
pub use container::state::{
    ContainerInfo, ContainerState, Health, MountInfo, PublishedPort, TransportProtocol,
};
pub use container::stats::ContainerStats;
pub use error::kind::ErrorKind;
pub use error::{Error, Result};
pub use exec::background_command::BackgroundCommand;
pub use exec::capture::{Capture, CapturedOutput, OutputLimit};
pub use exec::command_control::CommandControl;
pub use exec::command_streams::{CommandPipes, CommandStreams};
pub use exec::interruption::Interruption;
pub use exec::kill::{KillOutcome, KillReport, Survivor};
pub use exec::lines::{Line, LineEnd, LineSink};
pub use exec::outcome::ExitOutcome;
pub use exec::partial::PartialOutput;
pub use exec::request::{ExecRequest, ExecRequestBuilder};
pub use exec::result::{ExecOutput, ExecResult, StdioResult};
pub use exec::running_command::RunningCommand;
pub use exec::sink_filter::{SinkFilter, TeeCapture};
pub use exec::spawn_stdio::SpawnStdio;
pub use exec::stdio::{ExecStdio, Sink, SinkKind, Source, SourceKind, StreamFd};
pub use exec::stream_report::{StreamEnd, StreamReport};
pub use image::pull_options::{PullOptions, RegistryAuth, RegistryCredentials};
pub use image::pull_progress::PullProgress;
pub use image::{Image, ImageExt, ImageFilter, ImageInfo};
pub use launch::gpu_config_error::GpuConfigError;
pub use launch::{
    BindMount, Entrypoint, HealthCheck, LaunchSpec, LaunchSpecBuilder, LinuxCapability, Network, NetworkName,
    OciRuntime, PortMapping, PullPolicy, RestartPolicy, SecurityOption, Tmpfs, Volume, VolumeName,
};
#[cfg(feature = "tracing")]
pub use operation_span::OperationSpan;
pub use runtime::runtime_ext::ContainerRuntimeExt;
pub use runtime::runtime_id::RuntimeId;
pub use runtime::time_limits::{DEFAULT_STOP_GRACE, KILL_GRACE, TimeLimits};
pub use runtime::{ContainerFilter, ContainerRuntime};
pub use secret::Secret;
pub use streams::event::{Event, EventAction, EventOptions};
pub use streams::log::{LogLine, LogOptions, Readiness};
pub use streams::output_stream::OutputStream;
pub use streams::pull_stream::{Pull, PullStream};
pub use values::argv::Argv;
pub use values::env::{Env, EnvName, EnvValue};
pub use values::id::{ContainerId, ImageId};
pub use values::image_ref::ImageRef;
pub use values::invalid::InvalidValue;
pub use values::name::{ContainerName, NamePrefix, User};
pub use values::path::ContainerPath;
pub use values::port::PortReservation;
pub use values::signal::Signal;
pub use values::terminal_size::TerminalSize;
pub use wait::cancel::{CancelGuard, CancelRegistration, CancelToken};
pub use wait::ready_when::{Ready, ReadyWhen};
pub use wait::until::{Deadline, Until, UntilError};
