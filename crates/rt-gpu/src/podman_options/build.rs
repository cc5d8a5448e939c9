//! The options of podman's `build`.

/// Options without a value, or whose value must follow a `=` (`--pull`).
#[rustfmt::skip]
pub(super) const FLAGS: &[&str] = &[
    "rm", "load", "pull", "quiet", "stdin", "layers", "squash", "compress", "force-rm", "logsplit",
    "no-cache", "no-hosts", "http-proxy", "log-rusage", "pull-never", "squash-all", "tls-verify",
    "no-hostname", "pull-always", "save-stages", "omit-history", "stage-labels", "all-platforms",
    "compat-volumes", "identity-label", "inherit-labels", "force-compression", "rewrite-timestamp", "created-annotation",
    "skip-unused-stages", "disable-compression", "inherit-annotations", "disable-content-trust",
];

/// Options with a value.
#[rustfmt::skip]
pub(super) const VALUES: &[&str] = &[
    "cw", "os", "dns", "env", "ipc", "net", "pid", "ssh", "tag", "uts", "arch", "file", "from", "jobs",
    "sbom", "creds", "label", "mount", "retry", "device", "format", "memory", "output", "secret", "target",
    "ulimit", "userns", "volume", "cap-add", "dns-opt", "iidfile", "logfile", "network", "sign-by",
    "variant", "add-host", "authfile", "cache-to", "cap-drop", "cert-dir", "cgroupns", "cpp-flag",
    "loglevel", "manifest", "platform", "progress", "shm-size", "unsetenv", "build-arg", "cache-ttl",
    "cpu-quota", "group-add", "hooks-dir", "isolation", "timestamp", "annotation", "blob-cache",
    "cache-from", "cpu-period", "cpu-shares", "dns-option", "dns-search", "ignorefile", "os-feature",
    "os-version", "unsetlabel", "cpuset-cpus", "cpuset-mems", "iidfile-raw", "layer-label", "memory-swap",
    "override-os", "raw-iidfile", "retry-delay", "sbom-output", "runtime-flag", "security-opt",
    "build-context", "cgroup-parent", "metadata-file", "override-arch", "build-arg-file", "cdi-config-dir",
    "cni-config-dir", "decryption-key", "rusage-logfile", "userns-gid-map", "userns-uid-map",
    "cni-plugin-path", "unsetannotation", "override-variant", "sbom-purl-output", "signature-policy",
    "compression-level", "sbom-image-output", "source-date-epoch", "compression-format", "sbom-scanner-image", "source-policy-file",
    "sbom-merge-strategy", "userns-uid-map-user", "sbom-scanner-command", "userns-gid-map-group",
    "sbom-image-purl-output",
];
