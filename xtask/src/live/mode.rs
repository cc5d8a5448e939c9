//! The ways to get a container to run on a host, from the least to the most bent, and what of the
//! host they depend on. Trying them is the probe's work.

use std::path::{Path, PathBuf};

use crate::programs;

/// The file by which crun tells a hybrid host: version 2 mounted beside version 1.
pub(super) const HYBRID_CONTROLLERS: &str = "/sys/fs/cgroup/unified/cgroup.controllers";

/// The variable that has runc taken, also where crun would be.
pub(super) const RUNC: &str = "RT_LIVE_RUNC";

/// How podman is configured here. The names are part of the contract with the live suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing bent.
    Native,
    /// Lower default limits: without `CAP_SYS_RESOURCE` podman asks for more than it may set.
    Ulimits,
    /// And crun behind a wrapper that hides the version 2 mount of a hybrid host from that one
    /// process.
    CrunHybrid,
    /// And runc, which takes a hybrid host as it is.
    Runc,
    /// And no cgroups: no pause, no stats. `podman update` must never be tried in it: crun would
    /// put its device filter on the cgroup of the caller.
    NoCgroups,
}

impl Mode {
    /// In the order in which they are tried.
    pub(super) const ALL: [Self; 5] =
        [Self::Native, Self::Ulimits, Self::CrunHybrid, Self::Runc, Self::NoCgroups];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ulimits => "ulimits",
            Self::CrunHybrid => "crun-hybrid",
            Self::Runc => "runc",
            Self::NoCgroups => "nocgroups",
        }
    }

    /// Why it need not be tried on this host.
    pub(super) fn impossible(self, host: &Host) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::Ulimits | Self::NoCgroups => host.crun.is_none().then_some("crun is not installed"),
            Self::CrunHybrid if host.crun.is_none() => Some("crun is not installed"),
            Self::CrunHybrid => (!host.hybrid).then_some("this is no host with hybrid cgroups"),
            Self::Runc => host.runc.is_none().then_some("runc is not installed"),
        }
    }
}

/// What the configuration depends on.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) crun: Option<PathBuf>,
    pub(super) runc: Option<PathBuf>,
    pub(super) hybrid: bool,
    pub(super) systemd: bool,
    /// Whether podman keeps a user's containers there alone: without root's rights before podman 6,
    /// which warns of it in front of every answer.
    pub(super) rootless_storage_path: bool,
}

impl Host {
    pub(super) fn look() -> Self {
        let crun = programs::find("crun").filter(|_| std::env::var_os(RUNC).is_none());
        Self {
            crun,
            runc: programs::find("runc"),
            hybrid: Path::new(HYBRID_CONTROLLERS).exists(),
            // The test of sd_booted(3).
            systemd: Path::new("/run/systemd/system").is_dir(),
            rootless_storage_path: !rustix::process::geteuid().is_root(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_goes_from_least_to_most_bent() {
        let names = Mode::ALL.map(Mode::name);
        assert_eq!(names, ["native", "ulimits", "crun-hybrid", "runc", "nocgroups"]);
    }

    #[test]
    fn what_the_host_lacks_is_not_tried() {
        let host = Host {
            crun: Some("/usr/bin/crun".into()),
            runc: None,
            hybrid: false,
            systemd: true,
            rootless_storage_path: false,
        };
        let possible: Vec<_> =
            Mode::ALL.into_iter().filter(|mode| mode.impossible(&host).is_none()).collect();
        assert_eq!(possible, [Mode::Native, Mode::Ulimits, Mode::NoCgroups]);
    }
}
