//! Runs commands in containers and microVMs. A timeout ends the command where it runs.
//!
//! A [`ContainerRuntime`] is a place for containers: podman, krun microVMs, or this program's
//! memory for tests. It returns [`Container`] handles, and a container runs commands. Cargo
//! features decide which backends a build includes; [`open()`] opens one of them by its name. The
//! traits and types are those of the crate `rt-protocol`, re-exported here.
//!
//! # Getting started
//!
//! ```
//! use std::time::Duration;
//!
//! use rt::LaunchSpec;
//! use rt::prelude::*;
//!
//! # fn main() -> rt::Result<()> {
//! let runtime = rt_null::NullRuntime::new(); // or: rt::open(rt::Backend::Podman)?
//! let minute = Duration::from_secs(60);
//! let spec = LaunchSpec::builder("job-1", "docker.io/library/alpine:3.20")
//!     .command(["sleep", "inf"])
//!     .build()?;
//! runtime.launch(&spec, minute)?;
//!
//! // A non-zero exit code is a result; `exit_ok` makes it an error with the end of stderr.
//! let output = runtime.exec_in("job-1", ["make", "test"], minute)?.exit_ok()?;
//! println!("{}", output.stdout);
//! # Ok(())
//! # }
//! ```
//!
//! # Timeouts
//!
//! Every call takes an [`Until`]: a deadline, a [`CancelToken`], or both. When it ends, the command
//! and its children are killed in the container. The error says whether any of them survived.
//!
//! ```
//! # use std::time::Duration;
//! # use rt::LaunchSpec;
//! # use rt::prelude::*;
//! use rt::{ErrorKind, ExecRequest, KillOutcome, Until};
//!
//! # fn main() -> rt::Result<()> {
//! # let runtime = rt_null::NullRuntime::new();
//! # runtime.set_exec("job-1", ["npm", "run", "watch"], rt_null::ExecReply::hang())?;
//! # let spec = LaunchSpec::builder("job-1", "localhost/image").build()?;
//! # let job = runtime.launch(&spec, Duration::from_secs(60))?;
//! let request = ExecRequest::builder(["npm", "run", "watch"]).env("CI", "1").build()?;
//! let error = job.exec(&request, &Until::after(Duration::from_secs(5))).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::TimedOut);
//! let report = error.kill_report().unwrap();
//! assert_eq!(report.outcome, KillOutcome::Gone);
//! # Ok(())
//! # }
//! ```
//!
//! # Streams
//!
//! [`Container::exec_stdio`] connects a command to bytes, readers, writers, pipes or sockets.
//!
//! ```
//! # use std::time::Duration;
//! # use rt::LaunchSpec;
//! # use rt::prelude::*;
//! use rt::{ExecRequest, ExecStdio, Sink, Source, Until};
//!
//! # fn main() -> rt::Result<()> {
//! # let runtime = rt_null::NullRuntime::new();
//! # let script = rt_null::StdioScript::new().read("b\na\n").read_end();
//! # let script = script.write("a\nb\n").exit(0);
//! # runtime.set_stdio("job-1", ["sort"], script)?;
//! # let spec = LaunchSpec::builder("job-1", "localhost/image").build()?;
//! # let job = runtime.launch(&spec, Duration::from_secs(60))?;
//! let mut sorted = Vec::new();
//! let stdio = ExecStdio::new(Source::bytes("b\na\n"), Sink::borrowed(&mut sorted));
//! let until = Until::after(Duration::from_secs(60));
//! job.exec_stdio(&ExecRequest::new(["sort"])?, stdio, &until)?.exit_ok()?;
//! assert_eq!(sorted, b"a\nb\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Running commands
//!
//! [`ContainerExt::spawn_command`] returns while the command runs, with pipes for its streams, as
//! [`std::process`] does. Dropping the [`RunningCommand`] ends it.
//!
//! ```
//! # use std::time::Duration;
//! # use rt::LaunchSpec;
//! # use rt::prelude::*;
//! use std::io::{BufRead, BufReader};
//!
//! use rt::{ExecRequest, SpawnStdio};
//!
//! # fn main() -> rt::Result<()> {
//! # let runtime = rt_null::NullRuntime::new();
//! # let script = rt_null::StdioScript::new().write("compiling\nlinking\n").exit(0);
//! # runtime.set_stdio("job-1", ["make"], script)?;
//! # let spec = LaunchSpec::builder("job-1", "localhost/image").build()?;
//! # let job = runtime.launch(&spec, Duration::from_secs(60))?;
//! let limit = Duration::from_secs(60);
//! let mut make = job.spawn_command(&ExecRequest::new(["make"])?, SpawnStdio::new(), limit)?;
//! let stdout = make.stdout.take().expect("it is piped");
//! for line in BufReader::new(stdout).lines() {
//!     println!("make: {}", line.expect("a pipe can be read"));
//! }
//! make.wait(limit)?.exit_ok()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Logs
//!
//! [`Container::logs`] returns the lines of the main process; with `follow()` also new ones.
//! [`ContainerRuntime::events`] works in the same way.
//!
//! ```
//! # use std::time::Duration;
//! # use rt::LaunchSpec;
//! # use rt::prelude::*;
//! use rt::{LogOptions, Until};
//!
//! # fn main() -> rt::Result<()> {
//! # let runtime = rt_null::NullRuntime::new();
//! # let spec = LaunchSpec::builder("job-1", "localhost/image").build()?;
//! # let job = runtime.launch(&spec, Duration::from_secs(60))?;
//! # runtime.set_logs("job-1", rt_null::LogScript::new().line("listening on 8080"))?;
//! let limit = Duration::from_secs(10);
//! let mut log = job.logs(&LogOptions::new().tail(100), &Until::after(limit))?;
//! for line in log.iter(limit) {
//!     println!("{}", line?.text());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Async
//!
//! The calls block. With the feature `tokio`, `rt::tokio::AsyncRuntime` makes each of them a
//! future, on any backend. Dropping one ends its command where it runs. The example
//! `async_sandboxes` shows how.
//!
//! # Examples
//!
//! The directory `crates/rt/examples` has programs to copy. `cargo run -p rt --example quickstart`
//! runs the first of them; some need a feature, which their first lines name.
//!
//! | example | shows |
//! | --- | --- |
//! | `quickstart` | a tour: launch, output, streams, logs, files, a timeout |
//! | `agent_loop` | an agent's tool loop with limits and safe retries |
//! | `ci_job` | steps with live output, and time to clean up |
//! | `file_tools` | files of a sandbox, edited and read from memory |
//! | `async_sandboxes` | a sandbox service on tokio |
//! | `terminal`, `web_terminal` | a person's terminal, and one in a browser, bridged to a command |
//! | `stdio_bridge` | a Unix socket bridged to a command |
//! | `reaper` | removal of old containers |
//! | `doctor`, `gpu_check` | checks of a host |
//! | `testing_with_null`, `testing_with_record`, `testing_with_mocks` | tests without an engine |
//! | `third_party_backend` | a backend of your own |
//!
//! # Features
//!
//! | feature | adds | default |
//! | --- | --- | --- |
//! | `podman` | [`Backend::Podman`]; the module `podman` | yes |
//! | `krun` | the module `krun`: `KrunRuntime` and its SSH transport; needs a C compiler and OpenSSL | no |
//! | `null` | [`Backend::Null`], which runs nothing; the module `null` | no |
//! | `redact` | the module `redact`: texts and command lines without their secrets | by `podman` |
//! | `gpu` | the module `gpu`: GPUs of a host, GPU arguments of a launch; includes `redact` | no |
//! | `mock` | the module `mock`: mocks of the traits (mockall), for tests | no |
//! | `record` | the module `record`: records the calls of any runtime, and replays them without it | no |
//! | `tokio` | the module `tokio`: `AsyncRuntime`, the same contract as futures | no |
//! | `serde` | `Serialize` and `Deserialize` for plain data: requests, results, states, events, errors | no |
//! | `vendored-openssl` | with `krun`: builds OpenSSL from source | no |
//!
//! Features are additive: enabling one never changes the behaviour of another.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod detect;
mod doctor;
#[cfg(feature = "mock")]
pub mod mock;
mod open;
pub mod prelude;
#[cfg(feature = "redact")]
pub mod redact;

pub use backend::Backend;
pub use detect::{Detection, detect};
pub use doctor::{Diagnosis, DoctorOptions, Finding, Verdict, doctor};
pub use open::open;

pub use rt_protocol::*;

#[cfg(feature = "gpu")]
pub use rt_gpu as gpu;
#[cfg(feature = "krun")]
pub use rt_krun as krun;
#[cfg(feature = "null")]
pub use rt_null as null;
#[cfg(feature = "podman")]
pub use rt_podman as podman;
#[cfg(feature = "record")]
pub use rt_record as record;
#[cfg(feature = "tokio")]
pub use rt_tokio as tokio;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
