//! Streams of log lines and of events.

pub(crate) mod event;
pub(crate) mod log;
pub(crate) mod output_stream;
pub(crate) mod pull_stream;
