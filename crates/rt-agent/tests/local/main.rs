//! The agent, started on this machine with the descriptors that it has in a container: everything
//! except podman is real.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what a test has not got is its failure")]

mod cross_talk;
mod ends;
mod faults;
mod files;
mod fixture;
mod garbage;
mod hostile;
mod kills;
mod spawned;
mod terminals;
