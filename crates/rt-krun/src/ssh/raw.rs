//! Wraps libssh2, whose handles are used by one thread only.

pub(crate) mod channel_request;
pub(crate) mod inbox;
pub(crate) mod libssh2;
pub(crate) mod outbox;
pub(crate) mod request_kind;
pub(crate) mod terminal_request;
