//! What a test sets up beforehand: answers, scripts and faults, and the calls they apply to.

pub(crate) mod answer;
pub(crate) mod fault;
pub(crate) mod log_script;
pub(crate) mod output;
pub(crate) mod pattern;
pub(crate) mod reply;
pub(crate) mod stdio_script;
