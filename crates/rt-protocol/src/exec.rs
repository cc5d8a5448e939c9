//! The request to run a command, and its results.

pub(crate) mod background_command;
pub(crate) mod capture;
pub(crate) mod command_control;
pub(crate) mod command_streams;
pub(crate) mod failure;
pub(crate) mod interruption;
pub(crate) mod kill;
pub(crate) mod lines;
pub(crate) mod outcome;
pub(crate) mod partial;
pub(crate) mod request;
pub(crate) mod result;
pub(crate) mod running_command;
pub(crate) mod sink_filter;
pub(crate) mod spawn_stdio;
pub(crate) mod stderr_tail;
pub(crate) mod stdio;
pub(crate) mod stream_report;
