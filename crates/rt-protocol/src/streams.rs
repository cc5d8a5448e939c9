//! Holds what is read as it happens: log lines and events.

pub(crate) mod event;
pub(crate) mod log;
pub(crate) mod output_stream;
pub(crate) mod pull_stream;
