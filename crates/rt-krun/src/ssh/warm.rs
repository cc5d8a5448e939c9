//! The warm path: commands by an agent in the guest.

mod agent_start;
pub(super) mod agent_place;
pub(super) mod warm_call;
