//! Moves bytes between a process and its caller: one poll loop, and what it polls.

pub(crate) mod detached;
pub(crate) mod drain;
pub(crate) mod fd;
pub(crate) mod line_splitter;
pub(crate) mod output_factory;
pub(crate) mod output_pump;
pub(crate) mod output_target;
pub(crate) mod poll_loop;
pub(crate) mod poll_set;
pub(crate) mod socket_copy;
pub(crate) mod stdin_pump;
pub(crate) mod streams;
pub(crate) mod worker;
