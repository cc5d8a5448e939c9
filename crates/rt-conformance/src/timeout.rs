//! How long the suite waits for anything that has no limit of its own.

use std::time::Duration;

use rt_protocol::Until;

/// How long anything may take that has no limit of its own. Long, because a busy host is no fault of the backend.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The [`TIMEOUT`] from now.
pub(crate) fn timeout() -> Until {
    Until::after(TIMEOUT)
}
