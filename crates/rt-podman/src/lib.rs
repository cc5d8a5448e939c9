//! The podman backend of the `rt` workspace: argv in, JSON out, every command ended where it runs.
//!
//! [`PodmanRuntime`] implements [`ContainerRuntime`](rt_protocol::ContainerRuntime) with the
//! `podman` program, from version 4.3 on, rootful or rootless. Each query is one process, which
//! ends before the call returns. What podman cannot do is listed in [`limitations`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rt_podman::PodmanRuntime;
//! use rt_protocol::{ContainerRuntimeExt, LaunchSpec};
//!
//! # fn main() -> rt_protocol::Result<()> {
//! let podman = PodmanRuntime::new()?;
//! let spec = LaunchSpec::builder("job-1", "docker.io/library/alpine:3.20");
//! let spec = spec.command(["sleep", "inf"]).build()?;
//! let minute = Duration::from_secs(60);
//! podman.launch(&spec, minute)?;
//! println!("{}", podman.exec_in("job-1", ["uname", "-a"], minute)?.stdout);
//! # Ok(())
//! # }
//! ```
//!
//! # The path of a command
//!
//! [`PodmanRuntimeBuilder::exec_path`] chooses how commands get into containers:
//!
//! - **Cold**: each command is a `podman exec`. It takes some 150 ms and three processes, and works
//!   wherever podman does.
//! - **Warm**: the first command of a container starts an *agent* there, by one `podman exec`. It
//!   is a static program of 17 KB, which needs nothing in the image. Each command after that is one
//!   message to it, and costs about as much as a local fork and exec. The command has the same
//!   user, environment, limits and control groups as by `podman exec`. The crate `rt-agent`
//!   describes it.
//!
//! With [`ExecPath::Auto`], the default, a command goes warm where that works, and cold otherwise.
//! It never runs twice. [`PodmanRuntime::warm_up`] starts the agent ahead of time and returns the
//! path with its reason ([`ColdReason`]). One `tracing` event at `debug` reports each decision.
//!
//! A runtime keeps agents within its [`AgentLimits`]: each is one process in its container, and a
//! podman client and a conmon on the host. They end with the runtime and its handles, after
//! [`PodmanRuntime::cool_down`], and when this program ends, however it does. Nothing else outlives
//! a call. An agent belongs to one run of one container: a container that was restarted or created
//! again gets a new one.
//!
//! What differs on the warm path:
//!
//! - A death by signal is [`Signal`](rt_protocol::ExitOutcome::Signal), and exit codes are never
//!   ambiguous.
//! - [`KillOutcome::Gone`](rt_protocol::KillOutcome::Gone) is proved by the kernel, even for
//!   processes that hide their origin. If this program is killed, its commands are killed with it.
//! - All output of a command arrives, even if it leaves its stdin unread. Arguments, variables and
//!   paths may have any bytes, and secret variables any name and value. Only [`ExecPath::Warm`]
//!   claims the capabilities for this, because with `Auto` a container may turn out cold.
//! - A script without `#!`, and one whose interpreter is missing, is
//!   [`CommandNotExecutable`](rt_protocol::ErrorKind::CommandNotExecutable). A working directory
//!   that is a file is [`BadWorkdir`](rt_protocol::ErrorKind::BadWorkdir).
//! - `podman events` shows one exec for each agent and none for its commands. `podman top` shows
//!   the agent and a supervisor for each command, and both count towards a limit on processes.
//! - A checkpoint (CRIU) needs the agents to be gone: call `cool_down` first.
//!
//! # Ending a command on the cold path
//!
//! Signals to a `podman exec` client never reach its command. So on a deadline, a cancel or a
//! failed stream, this crate finds and ends the processes themselves: TERM, two seconds, KILL, and
//! a check of the result.
//!
//! - Every command has a unique value of the variable `RT_EXEC_ID` in its environment. The command
//!   can see it.
//! - From the host, podman's record of the exec names its first process and its conmon. A process
//!   belongs to the command if it shares a session with one of its processes, descends from one,
//!   carries the variable, or was adopted by that conmon. This needs nothing in the image and no
//!   answer from podman, which may hang. It needs the containers on this machine, and permission to
//!   signal them (root, or the user of the rootless podman).
//! - A command that has not started yet is stopped too: its client, its conmon and the OCI runtime
//!   are ended.
//! - If the host cannot see the processes (podman talks to another machine), a second exec ends the
//!   command from inside, with the image's `sh` and `grep`. Without these the report says
//!   [`KillOutcome::Unknown`](rt_protocol::KillOutcome::Unknown) and the reason.
//! - A process that left the session *and* removed the variable *and* lost its parents
//!   (`setsid env -i … &`, twice) looks like one that others have started in the container. If
//!   there is such a process, younger than the command, the report says `Unknown` and names it. It
//!   is not killed, because it may be another command's. Control group and mount namespace show
//!   which processes are in the container. So this also holds with `--pid=host`,
//!   `--pid=container:…`, in pods, with `--init` and with `--cgroups=disabled`.
//! - In a paused container (cgroups v1), KILL takes effect only after it is unpaused: the report
//!   says [`Alive`](rt_protocol::KillOutcome::Alive) and names the processes.
//!
//! From the deadline to the result it takes about 50 ms, and 2 s more if the command ignores TERM.
//! The maximum is 6 s if this process gets CPU time: 1.4 s for a command that is starting, 2 s
//! after TERM, 0.8 s after KILL, 1 s for a client that does not exit, and 1 s for one that hangs in
//! the kernel. These cases take longer:
//!
//! - If podman must be asked about a command that cannot be seen, or must drop the record of one
//!   that has not started: up to [`TimeLimits::kill_report`](rt_protocol::TimeLimits::kill_report)
//!   (2 s) in place of the two waits after signals.
//! - If killed processes have not ended yet, because a busy machine gives them no CPU time or their
//!   container is paused: the same limit.
//! - From inside: [`TimeLimits::kill_inside`](rt_protocol::TimeLimits::kill_inside) (8 s) and 2 s.
//!
//! **If this program itself is killed by KILL**, its commands are not ended: `podman exec` and the
//! command continue, and deadlines have no effect. Give such a command its own deadline:
//! `["timeout", "60", "make"]` ends it inside the container. A command with a bridged stdin sees
//! the end of its stdin.
//!
//! # Exit codes on the cold path
//!
//! podman uses the exit codes 125, 126, 127 and 255 for its own failures, and a command may return
//! them too. A client that another process ends (`systemctl stop` signals every process of a unit)
//! exits with 0 on podman 4.3, and with 1 on 5.x. So an exit code counts only if this host has seen
//! the command return it. For that it watches podman's record of the exec
//! (`<StaticDir>/<session>/`) from before the client starts, without a call of podman. If a step
//! was not seen, podman is asked once whether the client has seen the end of its command.
//!
//! - If the client was ended before its command could start, the error is
//!   [`BackendInterrupted`](rt_protocol::ErrorKind::BackendInterrupted), and
//!   [`never_started`](rt_protocol::Error::never_started) is true.
//! - If the command may have run, what still runs of it is ended. If nothing is left, the outcome
//!   is [`Lost`](rt_protocol::ExitOutcome::Lost). Otherwise the error is `BackendInterrupted`, with
//!   a report that names what is left.
//! - If the container went away or was restarted during the command, the outcome is `Lost`. This
//!   compares processes and ids, never times.
//! - If the host does not see podman's records (podman talks to another machine), podman's event
//!   log decides. That costs one call after podman's own exit codes and after 0, 1 and 2, and one
//!   before each command to find the end of the log (each about as long as an `inspect`). So no
//!   clock matters. A log in a journal is searched by times instead; if this machine's clock was
//!   set meanwhile, 0, 1 and 2 are not believed. Without a log (`events_logger = "none"`), or while
//!   other commands run in the same container, podman's text on stderr decides, and the client's 0,
//!   1 or 2 is believed.
//!
//! A death by signal N is [`Code(128 + N)`](rt_protocol::ExitOutcome::Code), as podman reports it.
//!
//! If the OCI runtime finds a program that the kernel then rejects (a script without its
//! interpreter, an empty file), crun returns `Code(1)` with `exec: …` on stderr. This looks like a
//! command that failed.
//!
//! # Environment of podman and of containers
//!
//! podman inherits this process's environment, except `NOTIFY_SOCKET` and `LISTEN_*`, which a
//! service manager sets for this process only. A container gets the variables of the request and of
//! its image, and none of this process. podman would pass on `HTTP_PROXY` and similar variables;
//! that is turned off, and `extra_args(["--http-proxy"])` turns it on again. Containers carry the
//! annotation `rt.create-id`, by which an interrupted `create` recognises the container that it has
//! made.
//!
//! If a command was ended and its client had to be ended too, podman keeps its record of the exec
//! in the container's list of sessions until the container stops.
//!
//! # Names
//!
//! podman accepts the beginning of an id wherever it accepts a name. So a name of only hexadecimal
//! digits is looked up first, and podman gets the full id. Commands always use the id. If the
//! container is removed, recreated or renamed meanwhile, a command never ends up in another one,
//! and never beside the guest of a microVM.
//!
//! # GPUs
//!
//! A create or start that fails because of its GPU configuration returns
//! [`GpuConfig`](rt_protocol::ErrorKind::GpuConfig), with podman's text and a hint. podman has one
//! text for a missing, a broken and a conflicting CDI spec, and reports a spec that is older than
//! the driver as a missing command. [`PodmanProfile::cdi_source`] tells which specs a podman reads.
//!
//! # Secrets in texts, and tracing events
//!
//! No text shows a secret. `Debug` and `Display` of runtimes, handles, builders and calls redact
//! what [`rt_gpu::redact_env_args`] finds, even in arguments of the caller. Only
//! [`login_command`](rt_protocol::Container::login_command) returns an argv with its secrets, to be
//! run; use the same function before you show it.
//!
//! `tracing` events contain the operation, the container, the program, the number of arguments and
//! the time limit. They never contain arguments or variables. Each operation has a span, with its
//! outcome and, for commands, the path (`warm` or `cold`), the bytes of each stream and what became
//! of a kill: see [`rt_protocol::OperationSpan`].

mod cli;
mod container;
mod copy;
mod events;
mod exec;
mod files;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod host_loopback;
mod image;
mod lifecycle;
pub mod limitations;
mod logs;
mod probe;
mod pull;
mod runtime;
mod state;

pub use container::PodmanContainer;
pub use events::PodmanEventStream;
pub use exec::warm::agent_limits::AgentLimits;
pub use exec::warm::exec_path::{ColdReason, ExecPath, Warmth};
pub use image::PodmanImage;
pub use logs::PodmanLogStream;
pub use runtime::{PodmanRuntime, PodmanRuntimeBuilder};
pub use state::kill_strategy::KillStrategy;
pub use state::profile::{PodmanProfile, PodmanVersion, RootlessNetwork};
