//! Creates, starts, pauses, signals, stops, awaits and removes containers.

pub(crate) mod create_argv;
pub(crate) mod create_leftovers;
pub(crate) mod pause;
pub(crate) mod remove;
pub(crate) mod signal;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod wait;
