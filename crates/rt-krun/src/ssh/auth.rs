//! Proves who this host is to a guest, and who the guest is to this host.

pub(crate) mod algorithms;
pub(crate) mod host_key;
pub(crate) mod identity;
pub(crate) mod private_key;
