//! Finds and ends a command where only another program can reach it: inside a container or a guest.

pub(crate) mod exec_marker;
pub(crate) mod remote_kill;
