//! Time limits of calls, cancellation, and when a container is ready.

pub(crate) mod cancel;
mod condition;
mod probe;
mod ready_watch;
pub(crate) mod ready_when;
mod sleep;
pub(crate) mod until;
