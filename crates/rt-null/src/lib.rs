//! The in-memory backend of the `rt` workspace: containers that are values, for tests that need no container engine.
//!
//! A program that talks to [`rt_protocol::ContainerRuntime`] runs on a [`NullRuntime`] as it runs on podman: what is
//! absent, what does not run, what comes too late and what is cut is answered with the same kinds of errors and
//! results. What commands answer, a test says beforehand; which commands were asked for, it reads afterwards. No process is
//! started and no network is touched, except that [`reserve_port`](rt_protocol::ContainerRuntime::reserve_port) binds
//! a real port and copies read and write real files of the host.
//!
//! # Quickstart
//!
//! Nothing needs to be set up: every image can be pulled, every command is an empty success.
//!
//! ```
//! use std::time::Duration;
//!
//! use rt_null::NullRuntime;
//! use rt_protocol::{ContainerExt, ContainerRuntime, ContainerRuntimeExt, ErrorKind, LaunchSpec};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
//! let job = runtime.launch(&LaunchSpec::builder("job-1", "alpine").build()?, limit)?;
//! assert!(job.running(limit)?);
//! assert!(runtime.exec_in("job-1", ["make", "test"], limit)?.success());
//!
//! runtime.force_remove(&[job.key().name.clone()], &limit.into());
//! let error = runtime.exec_in("job-1", ["make", "test"], limit).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NoSuchContainer);
//! # Ok(())
//! # }
//! ```
//!
//! As with podman, a command needs a container that runs: launch one, or say that there is one with
//! [`set_state`](NullRuntime::set_state).
//!
//! # Scripting commands
//!
//! By the exact words, or by a function; the newest that matches wins.
//!
//! ```
//! use std::time::Duration;
//!
//! use rt_null::{ArgvPattern, ExecReply, NullRuntime, Scope};
//! use rt_protocol::{ContainerRuntimeExt, ContainerState, ErrorKind};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
//! runtime.set_state("job", ContainerState::Running)?;
//! runtime.set_exec("job", ["cat", "/etc/hostname"], ExecReply::stdout("job\n"))?;
//! runtime.set_exec("job", ["nosuch"], ExecReply::error(ErrorKind::CommandNotFound, "nosuch"))?;
//! runtime.on_exec(Scope::all(), ArgvPattern::program("echo"), |call| {
//!     let words: Vec<_> = call.argv().arguments().iter().map(|word| word.to_string_lossy()).collect();
//!     ExecReply::stdout(words.join(" ") + "\n")
//! });
//!
//! assert_eq!(runtime.exec_in("job", ["cat", "/etc/hostname"], limit)?.stdout, "job\n");
//! assert_eq!(runtime.exec_in("job", ["echo", "a", "b"], limit)?.stdout, "a b\n");
//! assert_eq!(runtime.exec_in("job", ["nosuch"], limit).unwrap_err().kind(), ErrorKind::CommandNotFound);
//! # Ok(())
//! # }
//! ```
//!
//! # Scripting bridged commands
//!
//! A [`StdioScript`] says what is read and written, step by step, and is an error when the program sends something else. A
//! function gets a [`StdioPeer`], which is the command's side of the streams, and may answer as it likes
//! ([`on_stdio`](NullRuntime::on_stdio)).
//!
//! ```
//! use rt_null::{ArgvPattern, NullRuntime, Scope};
//! use rt_protocol::{
//!     ContainerName, ContainerRuntime, ContainerState, ExecRequest, ExecStdio, ExitOutcome, Sink, Source, Until,
//! };
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let runtime = NullRuntime::new();
//! runtime.set_state("agent", ContainerState::Running)?;
//! runtime.on_stdio(Scope::all(), ArgvPattern::exact(["agent", "--stdio"]), |_call, peer| {
//!     while let Some(question) = peer.read_line()? {
//!         peer.write_stdout(b"you said ")?;
//!         peer.write_stdout(&question)?;
//!     }
//!     Ok(ExitOutcome::Code(0))
//! });
//!
//! let mut answers = Vec::new();
//! let stdio = ExecStdio::new(Source::bytes("hello\n"), Sink::borrowed(&mut answers));
//! let request = ExecRequest::new(["agent", "--stdio"])?;
//! let result = runtime.exec_stdio(&ContainerName::new("agent")?, &request, stdio, &Until::forever())?;
//! assert!(result.success());
//! assert_eq!(answers, b"you said hello\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Faults and the clock
//!
//! [`inject`](NullRuntime::inject) makes the next, the nth or every call of an [`Operation`] slow, refused, hanging or
//! disconnected. No test sleeps for it: delays pass on the [clock](NullClock) of the runtime and are compared with what
//! the call's [`Until`](rt_protocol::Until) leaves.
//!
//! ```
//! use std::time::Duration;
//! use rt_null::{Fault, NullRuntime, Operation, Scope, When};
//! use rt_protocol::{ContainerName, ContainerRuntime, ContainerState, ErrorKind, ExecRequest, KillOutcome, Until};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let runtime = NullRuntime::new();
//! runtime.set_state("job", ContainerState::Running)?;
//! let ten = Duration::from_secs(10);
//! runtime.inject(Operation::Exec, Scope::container("job")?, When::Nth(2), Fault::latency(ten));
//! runtime.inject(Operation::Exec, Scope::all(), When::Nth(3), Fault::hang());
//!
//! let job = runtime.container(&ContainerName::new("job")?);
//! let request = ExecRequest::new(["make"])?;
//! let exec = || job.exec(&request, &Until::after(Duration::from_secs(60)));
//! assert!(exec()?.elapsed < ten);
//! assert!(exec()?.elapsed >= ten);
//! let error = exec().unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::TimedOut);
//! assert_eq!(error.kill_report().map(|report| &report.outcome), Some(&KillOutcome::Gone));
//! # Ok(())
//! # }
//! ```
//!
//! # Recorders
//!
//! [`exec_calls`](NullRuntime::exec_calls), [`stdio_calls`](NullRuntime::stdio_calls) and their siblings say what the
//! program did, in typed records with a common order.
//!
//! ```
//! use std::time::Duration;
//! use rt_null::NullRuntime;
//! use rt_protocol::{ContainerRuntime, ContainerRuntimeExt, LaunchSpec, Until};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let runtime = NullRuntime::new();
//! let spec = LaunchSpec::builder("job", "alpine").secret_env("TOKEN", "hunter2").build()?;
//! runtime.launch(&spec, &Until::forever())?.stop(Duration::from_secs(5), &Until::forever())?;
//!
//! let env = runtime.create_calls()[0].spec.env().clone();
//! assert_eq!(env.get("TOKEN").map(|value| value.expose()), Some("hunter2".as_ref()));
//! assert!(runtime.start_calls()[0].order < runtime.stop_calls()[0].order);
//! assert_eq!(runtime.stop_calls()[0].grace, Duration::from_secs(5));
//! # Ok(())
//! # }
//! ```
//!
//! # Record and replay
//!
//! The crate `rt-record` writes down what a program asks of any runtime, podman say, and answers it again without that runtime.
//!
//! # Where null is not podman
//!
//! - Commands do not run, and neither does a container's own: it runs until it is stopped, removed or
//!   [ended](NullRuntime::end), and its exit code is 0 unless [set](NullRuntime::set_exit_code).
//! - A code that is set is what a wait answers at once, also while the container runs.
//! - A log that nobody scripted is empty, and a container with such a log is ready at once.
//! - An image that nobody added can be pulled, unless [forbidden](NullRuntime::allow_pulls).
//! - A command that is ended is gone, unless a fault or reply says otherwise; no kill takes time.
//! - Archives ([`CopyTar`](rt_protocol::Capability::CopyTar)) are not served, and every directory of a container counts as
//!   there.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod calls;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod container;
mod event;
mod exec;
mod fixture;
mod image;
mod log;
mod runtime;
mod script;
mod state;
mod streams;

pub use clock::NullClock;
pub use container::NullContainer;
pub use image::{ImageFixture, NullImage};
pub use runtime::NullRuntime;
pub use script::fault::{Fault, Operation, When};
pub use script::log_script::LogScript;
pub use script::pattern::{ArgvPattern, Scope};
pub use script::reply::ExecReply;
pub use script::stdio_script::{StdioRead, StdioScript};
pub use state::call::{CopyCall, CopyDirection, CreateCall, ExecCall, LoginCall, NameCall, StopCall};
pub use state::event_log::EVENT_HISTORY;
pub use streams::message_socket::refuse_message_socket;
pub use streams::peer::StdioPeer;
