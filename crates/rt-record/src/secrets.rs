//! Takes secrets out of what is recorded, and puts them back into what is replayed.

pub(crate) mod masked;
pub(crate) mod masker;
pub(crate) mod matching;
pub(crate) mod registry_password;
pub(crate) mod restorer;
