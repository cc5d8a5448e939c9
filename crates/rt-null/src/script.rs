//! Holds what a test sets up beforehand: answers, scripts and faults, and which calls they are meant for.

pub(crate) mod answer;
pub(crate) mod fault;
pub(crate) mod log_script;
pub(crate) mod output;
pub(crate) mod pattern;
pub(crate) mod reply;
pub(crate) mod stdio_script;
