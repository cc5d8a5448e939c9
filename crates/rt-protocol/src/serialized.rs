//! How serde writes what it has no form for, and how it reads what must be checked. Behind the feature `serde`.

pub(crate) mod bytes;
pub(crate) mod cause;
mod collections;
mod launch;
mod output;
mod texts;
pub(crate) mod time;
