//! A started process: whether it has exited, how it is ended and reaped.

pub(crate) mod child_process;
pub(crate) mod exit_status;
pub(crate) mod reaper;
pub(crate) mod terminate;
