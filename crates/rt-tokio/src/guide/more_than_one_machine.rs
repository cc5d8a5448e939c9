//! More than one machine: one runtime for each host, how to spread jobs over them, and from where
//! on another engine is the better answer.
//!
//! # One runtime for each host
//!
//! podman reaches an engine on another machine by its own remote client. The builder of
//! `PodmanRuntime` passes it on, with an address or the name of a connection of
//! `podman system connection add`:
//!
//! ```text
//! PodmanRuntime::builder()
//!     .global_arg("--remote")
//!     .global_arg("--url=ssh://user@host/run/user/1000/podman/podman.sock")
//!     .build()?
//! ```
//!
//! All verbs work, with the limits that the docs of `rt-podman` list below "A remote podman":
//!
//! - Commands go by `podman exec`, not by an agent, which would need descriptors of both sides.
//!   Each one takes a start of podman here, and several requests over SSH. On podman 4.3.1 and one
//!   machine, `podman exec` took 0.27 s over SSH, 0.09 s over the socket of a service, and 0.13 s
//!   without a service. A command by an agent takes a millisecond.
//! - Every output is reported as [`Stopped`](rt_protocol::StreamEnd::Stopped), since the client
//!   may lose a part of it. Let a command write a file and copy that if all of it matters.
//! - Commands are ended from inside the container, since this host cannot see their processes.
//! - Mounts and ports are those of the other host. Copies go through the connection.
//!
//! Where this is too slow, run the program itself on each host, beside its podman, and let the
//! programs talk to each other. Commands then take the warm path.
//!
//! # Jobs over several runtimes
//!
//! The handles are values, so a list of runtimes is a cluster. The limit of each runtime is the
//! number of jobs that its host takes:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rt_null::NullRuntime;
//! use rt_protocol::{ExecRequest, LaunchSpec, Result};
//! use rt_tokio::AsyncRuntime;
//! use tokio::task::JoinSet;
//!
//! const LIMIT: Duration = Duration::from_secs(60);
//!
//! /// The host that has least to do.
//! fn least_loaded(hosts: &[AsyncRuntime]) -> &AsyncRuntime {
//!     let busy = |host: &&AsyncRuntime| host.load().running + host.load().waiting;
//!     hosts.iter().min_by_key(busy).expect("there is a host")
//! }
//!
//! async fn job(host: AsyncRuntime, number: usize) -> Result<String> {
//!     let spec = LaunchSpec::builder(format!("job-{number}"), "alpine").build()?;
//!     let job = host.launch(&spec, LIMIT).await?;
//!     let result = job.exec(&ExecRequest::new(["make", "test"])?, LIMIT).await;
//!     // Removed in any case; the first error matters more.
//!     let removed = job.remove(LIMIT).await;
//!     let text = result?.exit_ok()?.stdout.text().into_owned();
//!     removed.map(|()| text)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! // In a program: a podman with a connection to each host.
//! let hosts: Vec<_> = (0..3)
//!     .map(|_| AsyncRuntime::builder(Arc::new(NullRuntime::new())).at_once(8).build())
//!     .collect();
//! let mut jobs = JoinSet::new();
//! for number in 0..30 {
//!     jobs.spawn(job(least_loaded(&hosts).clone(), number));
//!     // The job begins, so that the next choice sees it.
//!     tokio::task::yield_now().await;
//! }
//! while let Some(answer) = jobs.join_next().await {
//!     answer.expect("it does not panic")?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! If a host does not answer, its calls return
//! [`BackendUnresponsive`](rt_protocol::ErrorKind::BackendUnresponsive) or
//! [`TimedOut`](rt_protocol::ErrorKind::TimedOut). Only an error whose
//! [`never_started`](rt_protocol::Error::never_started) is true may be repeated on another host
//! without a look at what was done.
//!
//! # From where on another engine is better
//!
//! This list of runtimes places jobs, and no more. Use Kubernetes or Nomad if one of these is
//! needed:
//!
//! - jobs go on when the program that started them ends or moves;
//! - hosts come and go, and jobs of a lost host are started again elsewhere;
//! - several programs share the hosts fairly, with quotas;
//! - containers reach each other by name across hosts.
//!
//! # A backend for such an engine
//!
//! It would stand on the contract as any other, and `AsyncRuntime` would take it as it is:
//!
//! - `create` makes a pod or an allocation with one task, `container` names it, `inspect` and
//!   `list` read its state, `events` watches it. A pod that is still being placed is `Created`.
//! - `exec` and `exec_stdio` use the engine's exec over a WebSocket. Neither engine ends the
//!   command when that closes, so the backend starts it under a shell that reports its process
//!   group, and ends it by a second exec, as `rt-krun` does in its guests.
//! - The capabilities leave out what the engine lacks: pause, copies by path, images, ports of the
//!   host. Such requests are then rejected before they start anything.
//! - `rt-conformance` says whether it keeps the contract.
