//! How long a backend waits for answers that the caller set no limit for.

use std::time::Duration;

/// The limits of a runtime's own questions. An engine that does not answer within them is
/// [unresponsive](crate::ErrorKind::BackendUnresponsive).
///
/// exec, bridged exec, wait, logs, copies and create have no entry here: they take as long as the caller's
/// [`Until`](crate::Until) allows.
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
    /// Starting a container: 30 s.
    pub start: Duration,
    /// Removing containers: 120 s.
    pub remove: Duration,
    /// What a backend asks its engine about a command that it has ended or could not find, and how long it waits for
    /// processes that were killed and have yet to end: 2 s. No process of the command is left alone meanwhile.
    pub kill_report: Duration,
    /// Ending a command with the engine's help, where the backend cannot reach its processes itself: 8 s.
    pub kill_inside: Duration,
}

impl TimeLimits {
    /// The limits named with the fields.
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

/// How long [`Container::stop`](crate::Container::stop) should let a container end by itself when the caller has no
/// other wish: 10 s, as podman and docker do.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);

/// How long a process that is told to end (TERM) has before it is killed (KILL): 2 s.
pub const KILL_GRACE: Duration = Duration::from_secs(2);
