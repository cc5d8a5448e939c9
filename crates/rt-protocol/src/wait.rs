//! Says how long a call may take, who may cancel it, and when a container is ready.

pub(crate) mod cancel;
pub(crate) mod ready_watch;
pub(crate) mod ready_when;
pub(crate) mod until;
