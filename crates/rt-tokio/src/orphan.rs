//! What became of a call or command whose handle was dropped.

use std::fmt;

use rt_protocol::{ContainerName, Error, KillReport};

/// What became of a call whose future was dropped after it had begun, or of a command whose
/// [`Child`](crate::Child) was dropped while it ran.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Orphan {
    /// The operation, as [`Error::operation`] names it: "exec in".
    pub operation: &'static str,
    /// The container; `None` for a call on images or on the runtime.
    pub container: Option<ContainerName>,
    /// `Ok` if it was done before it could be ended: a command has run to its end, a container was
    /// launched. Otherwise usually [`Cancelled`](rt_protocol::ErrorKind::Cancelled).
    pub result: Result<(), Error>,
}

impl Orphan {
    /// Returns what is left of the command, if it was ended.
    pub fn kill_report(&self) -> Option<&KillReport> {
        self.result.as_ref().err().and_then(Error::kill_report)
    }
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.result, &self.container) {
            (Err(error), _) => error.fmt(f),
            (Ok(()), Some(name)) => write!(f, "{} container `{name}`: done before its end", self.operation),
            (Ok(()), None) => write!(f, "{}: done before its end", self.operation),
        }
    }
}
