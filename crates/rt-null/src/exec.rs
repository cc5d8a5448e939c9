//! Runs scripted commands.

pub(crate) mod command;
pub(crate) mod pending_operation;
