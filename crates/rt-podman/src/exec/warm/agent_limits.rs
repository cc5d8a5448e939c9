//! How many agents a runtime keeps, and for how long.

use std::time::Duration;

/// How many agents a runtime keeps in containers, and for how long.
///
/// An agent takes some 28 KB of memory in its container. On the host, podman's client of it and
/// conmon take some 40 MB of address space, of which 9 to 11 MB are their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AgentLimits {
    /// The most agents of one runtime at the same time, each for one user of one container: 64.
    /// Beyond that, the one that was used longest ago is let go.
    pub agents: usize,
    /// How long an agent without commands stays: 120 s. Rounded down to milliseconds. It ends by
    /// itself; its client on this machine is reaped by the next call.
    pub idle: Duration,
    /// The age after which an agent is let go when the next command comes: 10 minutes.
    pub age: Duration,
}

impl AgentLimits {
    /// The limits named with the fields.
    pub const DEFAULT: Self =
        Self { agents: 64, idle: Duration::from_secs(120), age: Duration::from_secs(600) };
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
