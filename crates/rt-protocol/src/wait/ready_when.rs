//! When a container counts as ready: several conditions, one limit. How they are watched stands in `ready_watch`.
//!
//! Built on nothing but the contract (inspect, log, exec) and a TCP connection of our own, so every backend has it, a
//! third party's too, and none writes it again. It stands here and not in a backend for that reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use crate::ExecRequest;

/// What must be seen of a container before it counts as ready: all of it, in any order, and that it runs.
///
/// A condition that was met once stays met. Without conditions, ready means running. A container that has ended is not
/// ready, whatever it said before; for the last lines of one that is meant to end there is
/// [`stream_initial_logs`](crate::Container::stream_initial_logs).
///
/// ```
/// use std::time::Duration;
///
/// use rt_null::{LogScript, NullRuntime};
/// use rt_protocol::{ContainerName, ContainerRuntimeExt, ContainerState, ExecRequest, ReadyWhen};
///
/// # fn main() -> rt_protocol::Result<()> {
/// let runtime = NullRuntime::new();
/// runtime.set_state("db", ContainerState::Running)?;
/// runtime.set_logs("db", LogScript::new().line("loading").line("ready to accept connections"))?;
///
/// let when = ReadyWhen::new()
///     .reachable()
///     .log_line("the sign of the server", |line| line.contains("ready to accept"))
///     .exec(ExecRequest::new(["pg_isready"])?);
/// let ready = runtime.wait_until_ready(&ContainerName::new("db")?, &when, Duration::from_secs(60))?;
/// assert_eq!(ready.lines, ["ready to accept connections"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "conditions do nothing until they are waited for"]
pub struct ReadyWhen {
    pub(super) conditions: Vec<Condition>,
}

/// What was seen when everything was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Ready {
    /// The first line that each log condition accepted, in the order of the conditions.
    pub lines: Vec<String>,
    /// The address of the host at which each TCP condition got its answer, in the order of the conditions.
    pub addresses: Vec<SocketAddr>,
    /// From the call to the answer.
    pub elapsed: Duration,
}

impl ReadyWhen {
    /// The pause between two rounds of questions: 250 ms. A round is one inspect, one attempt at each condition that is
    /// not met yet, and the log lines that have come.
    pub const PAUSE: Duration = Duration::from_millis(250);

    /// How long one attempt of an exec condition may take: 10 s. One that takes longer is ended, and tried again.
    pub const EXEC_LIMIT: Duration = Duration::from_secs(10);

    /// How long one attempt at a TCP connection may take: 1 s.
    pub const CONNECT_LIMIT: Duration = Duration::from_secs(1);

    /// How long a TCP peer that has accepted is watched for a refusal: 100 ms.
    pub const HANG_UP_LIMIT: Duration = Duration::from_millis(100);

    /// No conditions: ready means running.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of the log, of either output, that `is_sign` accepts. `what` names the condition in errors.
    ///
    /// Where the engine says when the container last ended, only what was written since counts; otherwise the whole
    /// log does, an earlier run's included.
    pub fn log_line(
        self,
        what: impl Into<String>,
        is_sign: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.and(Condition::LogLine { what: what.into(), is_sign: Arc::new(is_sign) })
    }

    /// A command that ends with exit code 0. It is run again and again, so it should change nothing.
    pub fn exec(self, request: ExecRequest) -> Self {
        self.and(Condition::Exec(request))
    }

    /// Commands can be run: a guest lets its runtime in, and a container of an engine can be entered. It runs `true`, whatever
    /// comes of it; where there is no such program, to be told so is enough.
    pub fn reachable(self) -> Self {
        self.and(Condition::Reachable)
    }

    /// A published TCP port, by its number in the container, that is connected to from this host and does not hang up
    /// at once: the port forwarders of rootless engines accept for a container that does not listen yet, and hang up
    /// then. A server that greets every client by closing the connection without a byte never counts.
    pub fn tcp_port(self, container_port: u16) -> Self {
        self.and(Condition::TcpPort(container_port))
    }

    /// The verdict of the container's health check. A container without a check is an error.
    pub fn healthy(self) -> Self {
        self.and(Condition::Healthy)
    }

    fn and(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}
