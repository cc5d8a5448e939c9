//! Runs one command on one channel of a connection.

pub(crate) mod agent_stream;
pub(crate) mod begin_filter;
pub(crate) mod command;
pub(crate) mod drain;
pub(crate) mod job;
pub(crate) mod output;
pub(crate) mod pipe;
pub(crate) mod stdin;
