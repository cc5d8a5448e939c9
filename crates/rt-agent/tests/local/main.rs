//! The agent, started on this machine with the descriptors that it has in a container: everything
//! except podman is real.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what a test has not got is its failure")]

/// How the agent is reached: see `fixture`.
const IS_MULTIPLEXED: bool = false;

mod cross_talk;
mod ends;
mod faults;
mod files;
mod fixture;
mod garbage;
mod hostile;
mod kills;
mod sockets;
mod spawned;
mod terminals;
