//! Creates, starts, stops, awaits and removes containers.

pub(crate) mod create_argv;
pub(crate) mod remove;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod wait;
