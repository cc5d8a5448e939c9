//! Runs commands in a container at the cost of a local fork and exec.
//!
//! An **agent** is started once in a container, in the way the engine starts any command: a static
//! program of 36 KB, from sealed memory. From then on a command is one message, which passes a
//! control socket and three pipes. The agent forks a **supervisor**, which starts the command. Only
//! for a terminal the supervisor copies bytes; otherwise no stream data passes through either of
//! them, nothing is multiplexed, and the host needs no thread.
//!
//! ```text
//! host program ─ socket, SEQPACKET ──────── agent       in the container
//!    │ per command: socket, STREAM, control ─ supervisor  forked by agent, adopts orphans
//!    └ pipes: stdin, stdout, stderr ───────── the command and its descendants
//! ```
//!
//! Where no descriptors can be passed, as into a virtual machine, the same program carries the
//! streams of all commands over one byte stream, in packets with a window for each stream. The
//! host's side of that is a [`Multiplexer`], which the caller's own loop drives:
//!
//! ```text
//! host program ─ byte stream ─ agent, MULTIPLEX   in the guest
//!    per command: socket, control ─ supervisor    forked by agent, adopts orphans
//!    pipes: stdin, stdout, stderr ─ the command and its descendants
//! ```
//!
//! This crate contains the program (`program/`, built by `build.rs`), the wire format of both
//! sides, and the host's side. It knows no engine. The caller starts the agent with
//! [`AgentProgram`] as descriptor 3, one end of a [`PendingAgent`] as descriptor 4, and `/dev/null`
//! as stdin.
//!
//! # Guarantees
//!
//! - **A command runs once, or has certainly not run.** A supervisor reports "about to start"
//!   before any part of the command runs, and starts nothing if it cannot report that. So a command
//!   that has not begun can be withdrawn and given to another agent.
//! - **The kernel reports how a command ended.** The status is that of wait(2), so a signal is
//!   reported as a signal. If the socket ends without a status, the outcome is
//!   [`Lost`](rt_protocol::ExitOutcome::Lost).
//! - **"Gone" is proved.** The supervisor is the parent of every orphan of its command. So `ECHILD`
//!   proves that no descendant is left, not even one in its own session without a sign of its
//!   origin. A command ends with its control socket: nothing survives a host program that was
//!   killed.
//! - **The container gets nothing of the caller's.** Only pipes and sockets made for it, and the
//!   sealed program, are passed into it. Descriptors that it sends back are closed.
//! - **The engine decides the user.** The agent and its commands have the user, groups,
//!   capabilities, limits and environment from the engine, so each user needs its own agent. When
//!   `/etc/passwd` or `/etc/group` changes, an agent takes no more commands
//!   ([`AgentError::Outdated`]).
//!
//! # Differences behind a byte stream
//!
//! - The commands end with the agent: their streams are the agent's. Their outcome is `Lost`.
//! - A command that is given up before it has begun is withdrawn by an exchange with the agent. If
//!   the agent does not answer within a second, the command counts as begun.
//! - At most 200 commands of an agent run at once; the others wait.
//! - Of what a command leaves unread of its stdin, up to 192 KiB have left the host.
//! - The agent's file lies in the guest until the agent has started, and removes itself then.
//!
//! # Limitations
//!
//! - Only Linux on x86-64 and `AArch64`. On other processors [`PROGRAM`] is `None`; on other
//!   systems the crate is empty.
//! - A process that may kill processes of the agent's user can kill the agent and its supervisors.
//!   The outcome is then `Lost`, never a false one. A process that may trace the agent
//!   (`CAP_SYS_PTRACE`) could forge a status.
//! - A command whose program or directory is on a file system that hangs cannot be ended until the
//!   file system answers: its supervisor waits for the `execve`.
//! - A command that makes new processes without end can be ended while they leave the machine some
//!   time. 100 of them, each in its own session, were gone within seconds beside 8 busy loops, but
//!   not beside a whole test run: the report said `Unknown`, and they were ended later. 900 took
//!   all processor time. Limit the processes of a container.
//! - An operation on files that writes a new file and is killed together with its supervisor and
//!   the agent leaves that file behind (`.rt-` and a number).
#![cfg(target_os = "linux")]

// Makes `cargo fmt` format the program, which `build.rs` builds.
#[cfg(any())]
#[path = "../program/main.rs"]
mod agent_program;

mod agent;
mod agent_source;
mod exec;
mod file_request;
mod link;
mod multiplexer;
mod orders;
#[allow(dead_code, reason = "each side uses a part of it")]
mod packet_format;
mod program;
mod progress;
mod request;
mod socket;
mod spawned_command;
mod supervised;
mod terminate;
#[allow(dead_code, reason = "each side uses a part of it")]
mod wire_format;

pub use agent::{Agent, AgentError, PendingAgent};
pub use agent_source::{AgentSource, Stall};
pub use exec::{bridged, captured, file, spawned};
pub use file_request::{FILE_USER, FileRequest};
pub use multiplexer::Multiplexer;
pub use orders::CommandOrders;
pub use packet_format::MULTIPLEX;
pub use program::{AgentProgram, PROGRAM};
pub use progress::{CommandEnd, Descendants, Progress, StartFailure};
pub use request::EncodedRequest;
pub use supervised::Supervised;
pub use wire_format::Stage;
