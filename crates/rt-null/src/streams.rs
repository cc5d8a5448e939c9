//! Moves bytes between a scripted command and its caller.

pub(crate) mod message_socket;
pub(crate) mod notify;
pub(crate) mod peer;
pub(crate) mod signal_queue;
pub(crate) mod stdin;
pub(crate) mod waiter;
pub(crate) mod worker;
