//! The agent, started on this machine behind one stream, as in a guest: the same commands, ends,
//! kills and faults.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what a test has not got is its failure")]

/// How the agent is reached: see `fixture`.
const IS_MULTIPLEXED: bool = true;

#[path = "../local/cross_talk.rs"]
mod cross_talk;
#[path = "../local/ends.rs"]
mod ends;
#[path = "../local/faults.rs"]
mod faults;
#[path = "../local/files.rs"]
mod files;
#[path = "../local/fixture.rs"]
mod fixture;
#[path = "../local/hostile.rs"]
mod hostile;
#[path = "../local/kills.rs"]
mod kills;
#[path = "../local/spawned.rs"]
mod spawned;
mod streams;
#[path = "../local/terminals.rs"]
mod terminals;
