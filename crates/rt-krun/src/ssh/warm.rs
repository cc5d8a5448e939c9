//! The warm path: commands by an agent in the guest.

pub(super) mod agent_place;
mod agent_start;
pub(super) mod warm_call;
