//! Runs scripted commands.

pub(crate) mod attempt;
pub(crate) mod command;
