//! The in-memory backend of the `rt` workspace: containers are values in memory, for tests without
//! a container engine.
//!
//! A program that uses [`rt_protocol::ContainerRuntime`] runs on a [`NullRuntime`] as it runs on
//! podman. An absent container, a stopped one, a passed deadline and a cut connection give the same
//! kinds of errors and results.
//!
//! A test scripts the answers of commands beforehand, and reads afterwards which commands were
//! called. No process is started. The network is not used, except that
//! [`reserve_port`](rt_protocol::ContainerRuntime::reserve_port) binds a real port. Copies read and
//! write real files on the host.
//!
//! # Getting started
//!
//! No setup is needed: every image can be pulled, and every command succeeds without output.
//!
//! ```
//! use std::time::Duration;
//!
//! use rt_null::NullRuntime;
//! use rt_protocol::{
//!     ContainerExt, ContainerRuntime, ContainerRuntimeExt, ErrorKind, LaunchSpec,
//! };
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
//! As with podman, a command needs a running container. Launch one, or declare it with
//! [`set_state`](NullRuntime::set_state).
//!
//! # Scripting commands
//!
//! Script a command by its exact words or by a function. The newest match wins; an exact script
//! comes before any function.
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
//! let missing = ExecReply::error(ErrorKind::CommandNotFound, "nosuch");
//! runtime.set_exec("job", ["nosuch"], missing)?;
//! runtime.on_exec(Scope::all(), ArgvPattern::program("echo"), |call| {
//!     let words = call.argv().arguments().iter().map(|word| word.to_string_lossy());
//!     let words: Vec<_> = words.collect();
//!     ExecReply::stdout(words.join(" ") + "\n")
//! });
//!
//! assert_eq!(runtime.exec_in("job", ["cat", "/etc/hostname"], limit)?.stdout, "job\n");
//! assert_eq!(runtime.exec_in("job", ["echo", "a", "b"], limit)?.stdout, "a b\n");
//! let error = runtime.exec_in("job", ["nosuch"], limit).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::CommandNotFound);
//! # Ok(())
//! # }
//! ```
//!
//! # Scripting bridged commands
//!
//! A [`StdioScript`] lists what is read and written, step by step. It fails if the program sends
//! anything else. A function ([`on_stdio`](NullRuntime::on_stdio)) gets a [`StdioPeer`], the
//! command's side of the streams, and can answer freely.
//!
//! ```
//! use rt_null::{ArgvPattern, NullRuntime, Scope};
//! use rt_protocol::{
//!     ContainerName, ContainerRuntime, ContainerState, ExecRequest, ExecStdio, ExitOutcome,
//!     Sink, Source, Until,
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
//! let agent = runtime.container(&ContainerName::new("agent")?);
//! let result = agent.exec_stdio(&request, stdio, &Until::forever())?;
//! assert!(result.success());
//! assert_eq!(answers, b"you said hello\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Faults and the clock
//!
//! [`inject`](NullRuntime::inject) makes the next, the nth or every call of an [`Operation`] slow,
//! refused, hanging or disconnected. Tests do not sleep for this: delays advance the runtime's
//! [clock](NullClock) and are compared with what the call's [`Until`](rt_protocol::Until) leaves.
//!
//! ```
//! use std::time::Duration;
//! use rt_null::{Fault, NullRuntime, Operation, Scope, When};
//! use rt_protocol::{
//!     ContainerName, ContainerRuntime, ContainerState, ErrorKind, ExecRequest, KillOutcome,
//!     Until,
//! };
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let runtime = NullRuntime::new();
//! runtime.set_state("job", ContainerState::Running)?;
//! let ten = Duration::from_secs(10);
//! let (job, slow) = (Scope::container("job")?, Fault::latency(ten));
//! runtime.inject(Operation::Exec, job, When::Nth(2), slow);
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
//! [`exec_calls`](NullRuntime::exec_calls), [`stdio_calls`](NullRuntime::stdio_calls) and similar
//! methods return what the program did, as typed records with a common order.
//!
//! ```
//! use std::time::Duration;
//! use rt_null::NullRuntime;
//! use rt_protocol::{ContainerRuntime, ContainerRuntimeExt, LaunchSpec, Until};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let runtime = NullRuntime::new();
//! let spec = LaunchSpec::builder("job", "alpine").secret_env("TOKEN", "hunter2").build()?;
//! let job = runtime.launch(&spec, &Until::forever())?;
//! job.stop(Duration::from_secs(5), &Until::forever())?;
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
//! The crate `rt-record` records the calls of a program to any runtime, such as podman, and replays
//! them without that runtime.
//!
//! # Limitations
//!
//! - Commands do not run, and neither does a container's main process. A container runs until it is
//!   stopped, removed or [ended](NullRuntime::end). Its exit code is 0 unless
//!   [set](NullRuntime::set_exit_code).
//! - If an exit code is set, a wait returns it at once, even while the container runs.
//! - A log is empty unless scripted. A container with an unscripted log is ready at once.
//! - An image that was not added can be pulled, unless [forbidden](NullRuntime::allow_pulls).
//! - A killed command is gone, unless a fault or reply says otherwise. Killing takes no time.
//! - A container's files are in memory: those that were put, copied or written there. Every missing
//!   parent counts as an existing directory. A bind mount is not looked at. Scripted commands do
//!   not see the files, but a [handler](NullRuntime::on_exec) can read and write them
//!   ([`file`](NullRuntime::file), [`set_file`](NullRuntime::set_file)).

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
mod pull;
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
pub use state::call::{
    CopyCall, CopyDirection, CreateCall, ExecCall, FileAction, FileCall, KillCall, LoginCall, NameCall,
    PullCall, StopCall, TarCall,
};
pub use state::event_log::EVENT_HISTORY;
pub use streams::message_socket::refuse_message_socket;
pub use streams::peer::StdioPeer;
