//! The time limits of a backend where the caller sets none.

use std::time::Duration;

/// The time limits of a runtime's own requests to its engine. An engine that exceeds one is
/// [unresponsive](crate::ErrorKind::BackendUnresponsive).
///
/// `exec`, `exec_stdio`, `wait`, `logs`, copies and `create` are not listed: only the caller's
/// [`Until`](crate::Until) limits them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct TimeLimits {
    /// State, listings and other reads: 30 s.
    pub read: Duration,
    /// The size of one container's writable layer: 60 s.
    pub rw_size: Duration,
    /// The sizes of many containers: 120 s.
    pub bulk_sizes: Duration,
    /// Listing, reading and removing images: 30 s.
    pub images: Duration,
    /// Whether an image exists, and its labels: 10 s.
    pub exists: Duration,
    /// The engine's description of itself: 10 s.
    pub info: Duration,
    /// The host port of one published port: 5 s.
    pub port: Duration,
    /// Starting, pausing, unpausing and signalling a container: 30 s.
    pub start: Duration,
    /// Removing containers: 120 s.
    pub remove: Duration,
    /// The requests about a command that was ended or could not be found, and the wait for its
    /// killed processes to end: 2 s. New processes of the command are killed meanwhile.
    pub kill_report: Duration,
    /// Ending a command through the engine, if the backend cannot reach its processes itself: 8 s.
    pub kill_inside: Duration,
}

impl TimeLimits {
    /// The limits that are given with the fields.
    pub const DEFAULT: Self = Self {
        read: Duration::from_secs(30),
        rw_size: Duration::from_secs(60),
        bulk_sizes: Duration::from_secs(120),
        images: Duration::from_secs(30),
        exists: Duration::from_secs(10),
        info: Duration::from_secs(10),
        port: Duration::from_secs(5),
        start: Duration::from_secs(30),
        remove: Duration::from_secs(120),
        kill_report: Duration::from_secs(2),
        kill_inside: Duration::from_secs(8),
    };
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The usual grace period for [`Container::stop`](crate::Container::stop): 10 s, as in podman and
/// Docker.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);

/// The time between TERM and KILL when a process is ended: 2 s.
pub const KILL_GRACE: Duration = Duration::from_secs(2);
