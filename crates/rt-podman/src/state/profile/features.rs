//! What podman supports from a version on, or up to one. Only features that no answer shows
//! beforehand; measured ones name the podman.

use super::{PodmanProfile, PodmanVersion, SIX};

impl PodmanProfile {
    /// Returns whether the API can end a command: `POST /libpod/exec/{id}/kill`, from podman 6 on.
    /// Earlier, no call of podman ends a command; [`KillStrategy`](crate::KillStrategy) selects how
    /// this crate does it.
    pub fn has_exec_kill(&self) -> bool {
        self.engine() >= SIX
    }

    /// Returns whether `podman exec` has `--no-session`, from podman 6 on.
    pub fn has_exec_without_session(&self) -> bool {
        self.version >= SIX
    }

    /// Returns whether it runs on a host with cgroups v1: before podman 6.
    pub fn accepts_cgroup_v1(&self) -> bool {
        self.engine() < SIX
    }

    /// Returns whether it supports the network `slirp4netns`: before podman 6.
    pub fn accepts_slirp4netns(&self) -> bool {
        self.engine() < SIX
    }

    /// Returns whether the event `died` says that the kernel ended the container for its memory
    /// (`OOMKilled`), from podman 6 on.
    pub fn reports_oom_in_events(&self) -> bool {
        self.engine() >= SIX
    }

    /// Returns whether a published port without an address may be bound to other addresses than all
    /// of the host. containers.conf sets them as `default_host_ips`, from podman 6 on.
    pub fn has_default_host_ips(&self) -> bool {
        self.engine() >= SIX
    }

    /// Returns the version of the podman that holds the containers.
    fn engine(&self) -> PodmanVersion {
        self.server_version.unwrap_or(self.version)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn profile(client: &str, server: &str) -> PodmanProfile {
        let version = json!({ "Client": { "Version": client }, "Server": { "Version": server } });
        PodmanProfile::decode(&version, &Value::Null).unwrap()
    }

    #[test]
    fn podman_6_has_what_5_has_not_and_the_other_way_round() {
        for (version, is_six) in [("4.3.1", false), ("5.8.6", false), ("6.0.0", true), ("6.1.1", true)] {
            let profile = profile(version, version);
            assert_eq!(profile.has_exec_kill(), is_six, "{version}");
            assert_eq!(profile.has_exec_without_session(), is_six, "{version}");
            assert_eq!(profile.reports_oom_in_events(), is_six, "{version}");
            assert_eq!(profile.has_default_host_ips(), is_six, "{version}");
            assert_eq!(profile.accepts_cgroup_v1(), !is_six, "{version}");
            assert_eq!(profile.accepts_slirp4netns(), !is_six, "{version}");
        }
    }

    #[test]
    fn options_are_the_clients_and_the_rest_is_the_engines() {
        let profile = profile("5.4.2", "6.1.1");
        assert!(profile.has_exec_kill() && !profile.has_exec_without_session());
    }
}
