//! The warm path: commands by an agent in the container.

#[cfg(not(target_os = "linux"))]
mod absent;
#[cfg(target_os = "linux")]
mod agent_client;
pub(crate) mod agent_limits;
#[cfg(target_os = "linux")]
mod agent_pool;
pub(crate) mod exec_path;
#[cfg(target_os = "linux")]
mod warm_call;

#[cfg(not(target_os = "linux"))]
pub(crate) use absent::{AgentPool, WarmCall};
#[cfg(target_os = "linux")]
pub(crate) use {agent_pool::AgentPool, warm_call::WarmCall};
