//! The options of podman's `create`, `run` and `container clone`.

/// Options without a value.
#[rustfmt::skip]
pub(super) const FLAGS: &[&str] = &[
    "rm", "rmi", "run", "tty", "help", "init", "force", "quiet", "detach", "passwd", "rootfs", "destroy",
    "replace", "env-host", "no-hosts", "read-only", "sig-proxy", "http-proxy", "privileged", "tls-verify",
    "interactive", "no-hostname", "publish-all", "unsetenv-all", "no-healthcheck", "read-only-tmpfs",
    "oom-kill-disable", "disable-content-trust",
];

/// Options with a value.
#[rustfmt::skip]
pub(super) const VALUES: &[&str] = &[
    "ip", "os", "tz", "dns", "env", "ip6", "ipc", "net", "pid", "pod", "uts", "arch", "cpus", "gpus",
    "name", "pull", "user", "creds", "label", "mount", "retry", "tmpfs", "umask", "attach", "device",
    "expose", "gidmap", "memory", "secret", "sysctl", "uidmap", "ulimit", "userns", "volume", "cap-add",
    "cgroups", "cidfile", "dns-opt", "log-opt", "network", "pidfile", "publish", "restart", "systemd",
    "timeout", "variant", "workdir", "add-host", "authfile", "cap-drop", "cert-dir", "cgroupns", "env-file",
    "hostname", "hostuser", "init-ctr", "platform", "requires", "sdnotify", "shm-size", "unsetenv",
    "cpu-quota", "env-merge", "group-add", "init-path", "rdt-class", "annotation", "chrootdirs",
    "cpu-period", "cpu-shares", "dns-option", "dns-search", "entrypoint", "health-cmd", "hosts-file",
    "label-file", "log-driver", "pids-limit", "subgidname", "subuidname", "cgroup-conf", "cpuset-cpus",
    "cpuset-mems", "detach-keys", "group-entry", "mac-address", "memory-swap", "override-os", "personality",
    "pod-id-file", "preserve-fd", "retry-delay", "stop-signal", "blkio-weight", "image-volume",
    "passwd-entry", "preserve-fds", "security-opt", "stop-timeout", "volumes-from", "cgroup-parent",
    "cpu-rt-period", "network-alias", "oom-score-adj", "override-arch", "conmon-pidfile", "cpu-rt-runtime",
    "decryption-key", "health-retries", "health-timeout", "seccomp-policy", "device-read-bps",
    "health-interval", "device-read-iops", "device-write-bps", "override-variant", "shm-size-systemd",
    "signature-policy",
    "device-write-iops", "health-on-failure", "memory-swappiness", "device-cgroup-rule",
    "health-startup-cmd", "memory-reservation", "blkio-weight-device", "health-max-log-size",
    "health-start-period", "healthcheck-command", "healthcheck-retries", "healthcheck-timeout",
    "health-max-log-count", "healthcheck-interval", "health-log-destination", "health-startup-retries",
    "health-startup-success", "health-startup-timeout", "health-startup-interval",
    "healthcheck-start-period",
];
