//! The format of recordings: one JSON object per line.

pub(crate) mod arguments;
pub(crate) mod entry;
pub(crate) mod header;
pub(crate) mod invocation;
pub(crate) mod json;
pub(crate) mod listed_image;
pub(crate) mod pulled;
pub(crate) mod step;
pub(crate) mod tree;
