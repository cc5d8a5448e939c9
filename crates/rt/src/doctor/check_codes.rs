//! The codes of all checks, in their order.

/// The checks of podman. All but the first need an answer of podman.
pub(super) const PODMAN_CHECKS: [&str; 9] = [
    "podman-version",
    "podman-rights",
    "podman-place",
    "podman-cgroups",
    "podman-oci-runtime",
    "podman-network",
    "podman-events",
    "podman-container",
    "podman-warm",
];

#[cfg(any(test, not(feature = "krun")))]
pub(super) const KRUN_CHECKS: [&str; 5] =
    ["krun-oci-runtime", "krun-kvm", "krun-libssh2", "krun-identity", "krun-ssh-client"];

#[cfg(any(test, not(feature = "gpu")))]
pub(super) const GPU_CHECKS: [&str; 2] = ["gpu-cdi-specs", "gpu-cdi-devices"];
