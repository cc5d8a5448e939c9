//! One condition of readiness.

use std::fmt;
use std::sync::Arc;

use crate::ExecRequest;

/// One condition.
#[derive(Clone)]
pub(super) enum Condition {
    LogLine { what: String, is_sign: Arc<dyn Fn(&str) -> bool + Send + Sync> },
    Exec(ExecRequest),
    Reachable,
    TcpPort(u16),
    Healthy,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogLine { what, .. } => write!(f, "a log line: {what}"),
            // Only the program: arguments may contain secrets.
            Self::Exec(request) => write!(f, "command `{}`", request.argv().program().to_string_lossy()),
            Self::Reachable => f.write_str("reachable"),
            Self::TcpPort(port) => write!(f, "TCP port {port}"),
            Self::Healthy => f.write_str("health"),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({self})")
    }
}
