//! What the in-memory backend knows of its containers, and the calls made to it.

pub(crate) mod call;
pub(crate) mod event_log;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod image_record;
pub(crate) mod lifecycle;
pub(crate) mod log;
pub(crate) mod port;
pub(crate) mod refusal;
pub(crate) mod tar_stream;
pub(crate) mod world;
