//! The limit of everything in the suite that has no limit of its own.

use std::time::Duration;

use rt_protocol::Until;

/// The limit of everything that has no limit of its own. It is long, because a busy host is not a
/// fault of the backend.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns [`TIMEOUT`] from now.
pub(crate) fn timeout() -> Until {
    Until::after(TIMEOUT)
}
