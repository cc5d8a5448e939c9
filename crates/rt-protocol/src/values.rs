//! Holds the checked values that requests are built of.

pub(crate) mod argv;
pub(crate) mod env;
pub(crate) mod id;
pub(crate) mod image_ref;
pub(crate) mod invalid;
pub(crate) mod name;
pub(crate) mod path;
pub(crate) mod port;
pub(crate) mod signal;
pub(crate) mod terminal_size;
pub(crate) mod text;
