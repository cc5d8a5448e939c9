//! How to: a sandbox service, how many commands at once, streams for other crates, and tests with a
//! paused clock.
//!
//! - [A sandbox service](#a-sandbox-service)
//! - [What ends a command](#what-ends-a-command)
//! - [How many at once](#how-many-at-once)
//! - [Streams for other crates](#streams-for-other-crates)
//! - [Deadlines, and a paused clock](#deadlines-and-a-paused-clock)
//! - [More than one machine](more_than_one_machine)
//!
//! # A sandbox service
//!
//! The example `async_sandboxes` of the facade is the whole program: 20 sandboxes at once, their
//! lines while they run, clients that leave, SIGINT, and a clean-up by prefix. Its parts:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rt_protocol::{
//!     CancelToken, ContainerRuntime, ErrorKind, ExecRequest, LaunchSpec, NamePrefix,
//!     Result, Until,
//! };
//! use rt_tokio::AsyncRuntime;
//! use tokio::task::JoinSet;
//!
//! const LIMIT: Duration = Duration::from_secs(60);
//!
//! async fn serve(engine: Arc<dyn ContainerRuntime>) -> Result<()> {
//!     let runtime = AsyncRuntime::builder(engine)
//!         // The caller of a dropped command is gone, and does not see its kill report.
//!         .on_orphan(|orphan| eprintln!("{orphan}"))
//!         .build();
//!     let family = NamePrefix::new("sandbox")?;
//!     let mut sessions = JoinSet::new();
//!     for number in 0..20 {
//!         sessions.spawn(session(runtime.clone(), number));
//!     }
//!     // A program also waits for `tokio::signal::ctrl_c()` here.
//!     while let Some(session) = sessions.join_next().await {
//!         session.expect("it does not panic")?;
//!     }
//!     // Ends the sessions that still run, and waits until their commands are gone.
//!     sessions.abort_all();
//!     runtime.idle().await;
//!     for removed in runtime.remove_family(&family, LIMIT).await? {
//!         removed.error.map_or(Ok(()), Err)?;
//!     }
//!     Ok(())
//! }
//!
//! async fn session(runtime: AsyncRuntime, number: usize) -> Result<()> {
//!     let spec = LaunchSpec::builder(format!("sandbox-{number}"), "alpine").build()?;
//!     let sandbox = runtime.launch(&spec, LIMIT).await?;
//!     // Any task that has the token can cancel the command.
//!     let leaves = CancelToken::new();
//!     let until = Until::after(LIMIT).or_cancelled(&leaves);
//!     match sandbox.exec(&ExecRequest::new(["make", "test"])?, until).await {
//!         Err(error) if error.kind() == ErrorKind::Cancelled => Ok(()),
//!         result => result.map(|result| println!("{}", result.stdout)),
//!     }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! #     serve(Arc::new(rt_null::NullRuntime::new())).await
//! # }
//! ```
//!
//! # What ends a command
//!
//! | the program | the command |
//! | --- | --- |
//! | drops the future of a call, by `timeout`, `select!`, `abort`, or with the executor | is ended in the container; [`on_orphan`](crate::AsyncRuntimeBuilder::on_orphan) has the kill report |
//! | drops a [`Child`](crate::Child) | is ended in the same way; it never sees an end of the stdin that the `Child` has |
//! | drops the future of [`Child::wait`](crate::Child::wait) | runs on |
//! | cancels the token, or reaches the deadline, of the call's `Until` | is ended; the error of the call has the kill report |
//! | drops the last handle of the runtime | the drop waits until all of the above is done |
//! | is killed | ends with the connection to its agent, on podman's warm path |
//!
//! # How many at once
//!
//! - **A call** is on a thread with a stack of 256 KiB while it runs: `exec`, `launch`, `wait`. The
//!   whole conformance suite on podman's warm path passes with stacks of 64 KiB, in a build without
//!   optimization. [`at_once`](crate::AsyncRuntimeBuilder::at_once) limits the calls, and
//!   [`load`](crate::AsyncRuntime::load) shows how many wait.
//! - **A running command** ([`Child`](crate::Child)) on podman's warm path needs no thread, but
//!   four descriptors. 500 of them, each with three pipes, took 2,000 descriptors, no thread and 1
//!   MiB of memory more than 40.
//! - **A stream** of log lines or events has a thread.
//!
//! A call that waits holds a thread. If 512 tasks wait for the ends of containers, a call that
//! would stop one of them waits for its turn. Give each call a deadline, or allow more.
//!
//! For a program that only waits for output, prefer [`Child`](crate::Child) to
//! [`exec`](crate::AsyncContainer::exec).
//!
//! # Streams for other crates
//!
//! The pipes are [`tokio::net::unix::pipe`] types, which implement `AsyncRead` and `AsyncWrite`.
//! The codecs of `tokio-util` take them as they are:
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use rt_null::{NullRuntime, StdioScript};
//! # use rt_protocol::{ExecRequest, LaunchSpec, SpawnStdio};
//! # use rt_tokio::AsyncRuntime;
//! use futures_util::StreamExt;
//! use tokio_util::codec::{FramedRead, LinesCodec};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let null = NullRuntime::new();
//! # null.set_stdio("job", ["make"], StdioScript::new().write("cc\nld\n").exit(0))?;
//! # let runtime = AsyncRuntime::new(Arc::new(null));
//! # let limit = Duration::from_secs(60);
//! # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit).await?;
//! let mut make = job.spawn(&ExecRequest::new(["make"])?, SpawnStdio::new(), limit).await?;
//! let stdout = make.stdout.take().expect("it is piped");
//! // A line that is too long is an error, and no growing buffer.
//! let mut lines = FramedRead::new(stdout, LinesCodec::new_with_max_length(64 << 10));
//! while let Some(line) = lines.next().await {
//!     println!("{}", line?);
//! }
//! make.wait(limit).await?.exit_ok()?;
//! # Ok(())
//! # }
//! ```
//!
//! A WebSocket, as that of axum, is a stream and a sink of messages: read
//! [`stdout`](crate::Child::stdout) in one branch of a `select!` and send each chunk as a message;
//! write each message that is received to [`stdin`](crate::Child::stdin) in the other. When the
//! client closes, the handler returns, and the dropped [`Child`](crate::Child) ends the command.
//! The example `web_terminal` of the facade is such a terminal in a browser.
//!
//! Calls that take a reader or a writer, such as
//! [`copy_in_tar`](crate::AsyncContainer::copy_in_tar), use it on a thread. For an async one,
//! `tokio_util::io::SyncIoBridge` is such a reader or writer.
//!
//! # Deadlines, and a paused clock
//!
//! The `until` of a call is the contract's, and does not use tokio's clock. Engines go by real
//! time. `rt-null` goes by its own clock, which skips scripted delays at once: a test of a timeout
//! takes no time, without a paused clock.
//!
//! With `#[tokio::test(start_paused = true)]`, tokio advances its clock to the next timer as soon
//! as all tasks wait. It does not know that a thread of this crate works. So a
//! `tokio::time::timeout` around a call passes at once, however long it is. Either use the `until`
//! of the call instead, or set
//! [`hold_paused_clock`](crate::AsyncRuntimeBuilder::hold_paused_clock): then tokio's clock stands
//! still while a call is in progress or a [`Child`](crate::Child) is awaited.

pub mod more_than_one_machine;
