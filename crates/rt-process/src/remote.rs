//! Finds and ends a command that only another program can reach, inside a container or a guest.

pub(crate) mod command_slot;
pub(crate) mod exec_marker;
pub(crate) mod file_failure;
pub mod file_path;
pub(crate) mod file_script;
pub(crate) mod remote_kill;
pub(crate) mod remote_signal;
