//! Serialization of what serde has no form for, and checks of what is deserialized. Behind the
//! feature `serde`.

pub(crate) mod bytes;
pub(crate) mod cause;
mod collections;
mod launch;
mod output;
mod registry;
mod texts;
pub(crate) mod time;
