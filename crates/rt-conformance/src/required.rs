//! The capabilities that many cases require together.

use rt_protocol::Capability;

/// What a case needs that creates containers and removes them.
pub(crate) const MAKE: &[Capability] = &[Capability::Create, Capability::ForceRemove];
/// The same, for a case that also starts them.
pub(crate) const RUN: &[Capability] = &[Capability::Create, Capability::ForceRemove, Capability::Start];
/// The same, for a case that also stops them.
pub(crate) const STOP: &[Capability] =
    &[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::Stop];
