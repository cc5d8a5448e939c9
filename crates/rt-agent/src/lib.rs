//! Commands in a container at the price of a local fork and exec.
//!
//! An **agent** is started once in a container, as an engine starts any command there: a static program of 13 KB, from
//! sealed memory. From then on a command is one message. It hands over a control socket and three pipes; the agent forks a
//! **supervisor**, which starts the command. No data goes through either of them, nothing is multiplexed, and the host
//! needs no thread.
//!
//! ```text
//! host program ─ socket, SEQPACKET ──────── agent        in the container as the engine made it
//!    │ per command: socket, STREAM, control ─ supervisor  a fork of the agent, parent of all orphans of the command
//!    └ pipes: stdin, stdout, stderr ───────── the command and its descendants
//! ```
//!
//! This crate has the program (`program/`, built by `build.rs`), the wire that both sides read, and the host's side. It
//! knows no engine: who starts the agent gives it [`AgentProgram`] as descriptor 3, one end of a [`PendingAgent`] as
//! descriptor 4, and `/dev/null` as stdin.
//!
//! # What holds
//!
//! - **A command runs once or certainly not.** A supervisor says "about to start" before anything of the command runs, and
//!   starts nothing where that cannot be said. So a command that has not begun can be withdrawn, and given to another agent.
//! - **Ends are the kernel's.** The status is that of wait(2): a signal is a signal. Where the socket ends without one, the
//!   outcome is [`Lost`](rt_protocol::ExitOutcome::Lost).
//! - **Gone is proved.** The supervisor is the parent of every orphan of its command, so `ECHILD` says that no descendant is
//!   left, one in a session of its own without a sign of its origin neither. A command ends with its control socket: nothing
//!   outlives a host program that was killed.
//! - **The container gets nothing of the caller's.** What is passed into it are pipes and sockets that were made for it, and
//!   the sealed program. Descriptors that come back are closed.
//! - **Users are the engine's.** The agent has the user, groups, capabilities, limits and environment that the engine gave
//!   it, and so have its commands: there is an agent for each user. When `/etc/passwd` or `/etc/group` change, it takes no
//!   more commands ([`AgentError::Outdated`]).
//!
//! # Limits
//!
//! - Linux on x86-64 and `AArch64`. Elsewhere [`PROGRAM`] is `None`, or the crate is empty.
//! - Who may kill the agent's user may kill the agent and its supervisors: the outcome is `Lost`, never a false one. Who may
//!   trace it (`CAP_SYS_PTRACE`) could forge a status.
//! - A command that reads its program or enters its directory from a file system that hangs cannot be ended before that
//!   answers: its supervisor waits for the `execve`.
//! - Terminals and acts on files have their frames, and are refused by this agent.
#![cfg(target_os = "linux")]

// `cargo fmt` is to come to the program, which is built by `build.rs`.
#[cfg(any())]
#[path = "../program/main.rs"]
mod agent_program;

mod agent;
mod exec;
mod program;
mod progress;
mod request;
mod socket;
mod supervised;
#[allow(dead_code, reason = "each side uses a part of it")]
mod wire_format;

pub use agent::{Agent, AgentError, PendingAgent};
pub use exec::{AgentSource, bridged, captured};
pub use program::{AgentProgram, PROGRAM};
pub use progress::{CommandEnd, Descendants, Progress, StartFailure};
pub use request::EncodedRequest;
pub use supervised::Supervised;
pub use wire_format::Stage;
