//! Holds what the in-memory backend knows of its containers, and what was asked of it.

pub(crate) mod call;
pub(crate) mod file;
pub(crate) mod lifecycle;
pub(crate) mod port;
pub(crate) mod world;
