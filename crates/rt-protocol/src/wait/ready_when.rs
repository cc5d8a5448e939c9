//! When a container counts as ready: several conditions under one limit. The waiting itself is in
//! `ready_watch`.
//!
//! It only uses the contract (inspect, log, exec) and a TCP connection, so every backend has it,
//! including third-party ones. Therefore it is here and not in a backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use crate::ExecRequest;

/// The conditions under which a container counts as ready: all of them, in any order, and that it
/// runs.
///
/// A condition that was met once stays met. Without conditions, ready means running. A container
/// that has ended is never ready; for one that is meant to end, use
/// [`stream_initial_logs`](crate::Container::stream_initial_logs).
///
/// ```
/// use std::time::Duration;
///
/// use rt_null::{LogScript, NullRuntime};
/// use rt_protocol::{
///     ContainerName, ContainerRuntimeExt, ContainerState, ExecRequest, ReadyWhen,
/// };
///
/// # fn main() -> rt_protocol::Result<()> {
/// let runtime = NullRuntime::new();
/// runtime.set_state("db", ContainerState::Running)?;
/// let log = LogScript::new().line("loading").line("ready to accept connections");
/// runtime.set_logs("db", log)?;
///
/// let when = ReadyWhen::new()
///     .reachable()
///     .log_line("its ready line", |line| line.contains("ready to accept"))
///     .exec(ExecRequest::new(["pg_isready"])?);
/// let limit = Duration::from_secs(60);
/// let ready = runtime.wait_until_ready(&ContainerName::new("db")?, &when, limit)?;
/// assert_eq!(ready.lines, ["ready to accept connections"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "conditions do nothing until they are waited for"]
pub struct ReadyWhen {
    pub(super) conditions: Vec<Condition>,
}

/// What was found when all conditions were met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Ready {
    /// The first line that each log condition accepted, in the order of the conditions.
    pub lines: Vec<String>,
    /// The host address at which each TCP condition was met, in the order of the conditions.
    pub addresses: Vec<SocketAddr>,
    /// The duration of the wait.
    pub elapsed: Duration,
}

impl ReadyWhen {
    /// The pause between two rounds: 250 ms. A round is one inspect, one attempt at each condition
    /// that is not met yet, and the new log lines.
    pub const PAUSE: Duration = Duration::from_millis(250);

    /// The time limit of one attempt of an exec condition: 10 s. A command that takes longer is
    /// ended, and tried again.
    pub const EXEC_LIMIT: Duration = Duration::from_secs(10);

    /// The time limit of one TCP connection attempt: 1 s.
    pub const CONNECT_LIMIT: Duration = Duration::from_secs(1);

    /// How long an accepted TCP connection is watched for a close: 100 ms.
    pub const HANG_UP_LIMIT: Duration = Duration::from_millis(100);

    /// Returns no conditions: ready means running.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires a line of the log, of either output, that `is_sign` accepts. `what` names the
    /// condition in errors.
    ///
    /// If the engine reports when the container last ended, only lines since then count. Otherwise
    /// the whole log counts, including that of earlier runs.
    pub fn log_line(
        self,
        what: impl Into<String>,
        is_sign: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.and(Condition::LogLine { what: what.into(), is_sign: Arc::new(is_sign) })
    }

    /// Requires a command to end with exit code 0. It is run repeatedly, so it should change
    /// nothing.
    pub fn exec(self, request: ExecRequest) -> Self {
        self.and(Condition::Exec(request))
    }

    /// Requires that commands can be run: a guest accepts connections, or a container can be
    /// entered.
    ///
    /// Runs `true` and ignores its exit code. If there is no such program, the condition is met
    /// too.
    pub fn reachable(self) -> Self {
        self.and(Condition::Reachable)
    }

    /// Requires a TCP connection from this host to a published port, given by its number in the
    /// container. The peer must not close it at once.
    ///
    /// The port forwarders of rootless engines accept connections for a container that does not
    /// listen yet, and then close them. A server that greets every client by closing the connection
    /// without a byte is never ready.
    pub fn tcp_port(self, container_port: u16) -> Self {
        self.and(Condition::TcpPort(container_port))
    }

    /// Requires a passed health check. A container without a check is an error.
    pub fn healthy(self) -> Self {
        self.and(Condition::Healthy)
    }

    fn and(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}
