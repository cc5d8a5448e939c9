//! The options of podman itself. They may stand before the verb; most of them may also follow it.

/// Options without a value.
#[rustfmt::skip]
pub(super) const FLAGS: &[&str] = &[
    "help", "debug", "noout", "trace", "remote", "syslog", "version", "transient-store",
];

/// Options with a value.
#[rustfmt::skip]
pub(super) const VALUES: &[&str] = &[
    "ns", "out", "ssh", "url", "host", "root", "config", "conmon", "module", "tls-ca", "tmpdir", "context",
    "runroot", "runtime", "tls-key", "identity", "tls-cert", "hooks-dir", "log-level", "namespace",
    "connection", "db-backend", "imagestore", "volumepath", "cpu-profile", "max-workers", "pull-option",
    "storage-opt", "tls-details", "cdi-spec-dir", "runtime-flag", "cgroup-manager", "events-backend",
    "memory-profile", "storage-driver", "network-backend", "registries-conf", "network-cmd-path",
    "network-config-dir", "default-mounts-file",
];
