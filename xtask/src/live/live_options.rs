//! Where a suite is to run on a real podman.

use std::fmt;

/// Where a suite is to run on a real podman; the default is here, as the caller is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveOptions {
    /// In a Debian tree with this podman.
    pub(crate) podman: Option<PodmanVersion>,
    /// As a user without root's rights.
    pub(crate) rootless: bool,
    /// With runc, also where crun would be taken.
    pub(crate) runc: bool,
}

/// A podman that is brought where the machine has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodmanVersion {
    /// 5.4, of Debian 13.
    Five,
    /// 6.1, of Debian experimental.
    Six,
}

impl fmt::Display for PodmanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Five => "5",
            Self::Six => "6",
        })
    }
}

impl fmt::Display for LiveOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.podman {
            Some(version) => write!(f, "podman {version}")?,
            None => f.write_str("podman of this machine")?,
        }
        f.write_str(if self.runc { ", runc" } else { "" })?;
        f.write_str(if self.rootless { ", rootless" } else { ", as the caller" })
    }
}

impl LiveOptions {
    pub(crate) fn is_elsewhere(self) -> bool {
        self != Self::default()
    }
}
