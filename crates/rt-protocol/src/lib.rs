//! The contract of the `rt` workspace: how a program runs commands in containers and microVMs, whatever runs them.
//!
//! A program talks to a [`ContainerRuntime`] and to the [`Container`] handles that it hands out. Backends implement the
//! two traits: `rt-podman`, `rt-krun`, `rt-null`, or one of your own (three and three methods). This crate never
//! starts a process, never logs, knows no backend, and blocks only where a caller waits ([`Until`], [`ReadyWhen`]).
//!
//! # A command
//!
//! ```
//! use std::time::Duration;
//!
//! use rt_null::NullRuntime;
//! use rt_protocol::{ContainerName, ContainerRuntime, ContainerRuntimeExt, ErrorKind, ExecRequest, LaunchSpec, Until};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let runtime = NullRuntime::new();
//! let limit = Duration::from_secs(60);
//! let job = runtime.launch(&LaunchSpec::builder("job", "alpine").build()?, limit)?;
//!
//! let request = ExecRequest::builder(["make", "test"]).workdir("/src").env("CI", "1").build()?;
//! let result = job.exec(&request, &Until::after(limit))?;
//! println!("{}: {}", result.outcome, result.stdout.text());
//!
//! // A container that is not there is an error with a kind to branch on, and a text to show.
//! let error = runtime.exec_in("nobody", ["true"], limit).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NoSuchContainer);
//! assert!(error.to_string().contains("`nobody`"));
//! # Ok(())
//! # }
//! ```
//!
//! # What holds everywhere
//!
//! - **Three answers, never two.** Present, absent, could-not-ask.
//! - **A non-zero exit is data.** [`ExitOutcome`] is a code, a signal, or lost; lost is never 0.
//! - **A timeout ends the command**, not only the wait for it, and the error says what became of it ([`KillReport`]).
//! - **Everything is bounded**: time by [`Until`], memory by [`OutputLimit`], a line by [`LogOptions::max_line_bytes`].
//! - **Bytes first.** Nothing is decoded or rewritten; text is a view.
//! - **Secrets are a type** ([`Secret`]); no argv, log, error or `Debug` text shows one.
//! - **Values are checked once**, when they are made: [`ContainerName`], [`Argv`], [`EnvName`] and the others. Whoever
//!   holds one need not check again.
//! - **No field of a request is ignored.** What a backend cannot do it refuses, before it starts anything
//!   ([`ExecRequest::required_capabilities`], [`ContainerRuntime::capabilities`]).
//!
//! # serde
//!
//! Behind the feature `serde`, what is plain data is `Serialize` and `Deserialize`: requests, options, results, states, events
//! and errors. What is read is checked as if it had been built, so no text makes an invalid value. Fields have the names that
//! they have here; enums are their words (`no-such-container`). Bytes, words and paths are text where they are UTF-8, and
//! otherwise `{"hex": "ff00"}`; such values need a format that describes itself, as JSON does. Requests and options refuse
//! fields that they do not know, because no field is ignored; results skip them.
//!
//! A [`Secret`] is neither. Of a secret variable the name is written, and that it is secret, so that a request can be logged;
//! reading that is refused, because the command would run without its secret. What was put into arguments, labels and output
//! is written as it is. Of the causes of an error ([`source`](std::error::Error::source)) the texts come back.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod capability;
mod container;
mod error;
mod exec;
mod forward;
mod image;
mod launch;
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
pub use container::key::ContainerKey;
pub use container::remove::{ContainerRemoveResult, ImageRemoval};
pub use container::state::{
    ContainerInfo, ContainerState, Health, MountInfo, PublishedPort, TransportProtocol,
};
pub use error::kind::ErrorKind;
pub use error::{Error, Result};
pub use exec::capture::{Capture, CapturedOutput, OutputLimit};
pub use exec::interruption::Interruption;
pub use exec::kill::{KillOutcome, KillReport, Survivor};
pub use exec::outcome::ExitOutcome;
pub use exec::partial::PartialOutput;
pub use exec::request::{ExecRequest, ExecRequestBuilder};
pub use exec::result::{ExecOutput, ExecResult, StdioResult};
pub use exec::stdio::{ExecStdio, Sink, SinkKind, Source, SourceKind, StreamFd};
pub use exec::stream_report::{StreamEnd, StreamReport};
pub use image::{Image, ImageExt, ImageFilter, ImageInfo};
pub use launch::gpu_config_error::GpuConfigError;
pub use launch::{
    BindMount, LaunchSpec, LaunchSpecBuilder, Network, NetworkName, OciRuntime, PortMapping, PullPolicy,
};
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
pub use wait::cancel::{CancelGuard, CancelRegistration, CancelToken};
pub use wait::ready_when::{Ready, ReadyWhen};
pub use wait::until::{Deadline, Until, UntilError};
