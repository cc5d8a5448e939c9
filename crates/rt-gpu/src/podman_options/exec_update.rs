//! The options of podman's `exec` and `update`.

/// Options of `exec` without a value.
#[rustfmt::skip]
pub(super) const EXEC_FLAGS: &[&str] = &[
    "tty", "detach", "latest", "no-session", "privileged", "interactive",
];

/// Options of `exec` with a value.
#[rustfmt::skip]
pub(super) const EXEC_VALUES: &[&str] = &[
    "env", "user", "wait", "cidfile", "workdir", "env-file", "detach-keys", "preserve-fd", "preserve-fds",
];

/// Options of `update` without a value.
#[rustfmt::skip]
pub(super) const UPDATE_FLAGS: &[&str] = &[
    "latest", "no-healthcheck",
];

/// Options of `update` with a value.
#[rustfmt::skip]
pub(super) const UPDATE_VALUES: &[&str] = &[
    "env", "cpus", "memory", "ulimit", "restart", "unsetenv", "cpu-quota", "cpu-period", "cpu-shares",
    "health-cmd", "pids-limit", "cpuset-cpus", "cpuset-mems", "memory-swap", "blkio-weight",
    "cpu-rt-period", "cpu-rt-runtime", "health-retries", "health-timeout", "device-read-bps",
    "health-interval", "device-read-iops", "device-write-bps", "device-write-iops", "health-on-failure",
    "memory-swappiness", "health-startup-cmd", "memory-reservation", "blkio-weight-device",
    "health-max-log-size", "health-start-period", "health-max-log-count", "health-log-destination",
    "health-startup-retries", "health-startup-success", "health-startup-timeout", "health-startup-interval",
];
