//! The network of a container that uses services of its host, by the network mode of this podman.

use std::ffi::OsString;

use rt_protocol::Result;

use crate::PodmanRuntime;
use crate::state::profile::{PodmanProfile, RootlessNetwork};

impl PodmanRuntime {
    /// Returns the arguments that let a container use services on the loopback address of its host,
    /// as `host.containers.internal`. For
    /// [`extra_args`](rt_protocol::LaunchSpecBuilder::extra_args) of a launch.
    ///
    /// Empty for a podman that runs as root. Its containers use the host through the bridge, under
    /// the name that podman sets itself, and services there must listen on the bridge's address.
    ///
    /// **All egress is unfiltered.** These arguments open access and restrict none: the container
    /// can use every service on the host's loopback address, the host's network, and the internet.
    /// Use them only for containers that may do all that.
    ///
    /// Reads the [profile](Self::profile), so podman is called at most once for each runtime.
    ///
    /// # Errors
    /// If podman could not be called. A podman with no network mode in its answer, or an unknown
    /// one, counts as slirp4netns.
    pub fn bypass_network_args(&self) -> Result<Vec<OsString>> {
        Ok(arguments(self.profile()?).iter().map(OsString::from).collect())
    }
}

fn arguments(profile: &PodmanProfile) -> &'static [&'static str] {
    match profile.rootless_network {
        _ if profile.rootless == Some(false) => &[],
        // slirp4netns maps the host's loopback address to 10.0.2.2 if that is allowed
        // (`slirp4netns(1)`).
        RootlessNetwork::Slirp4netns => &[
            "--network",
            "slirp4netns:allow_host_loopback=true",
            "--add-host",
            "host.containers.internal:10.0.2.2",
        ],
        // pasta maps it to any given address (`passt(1)`, --map-host-loopback).
        RootlessNetwork::Pasta => &[
            "--network",
            "pasta:--map-host-loopback,169.254.1.2",
            "--add-host",
            "host.containers.internal:169.254.1.2",
        ],
    }
}

#[cfg(test)]
mod tests {
    use rt_protocol::ErrorKind;

    use super::*;

    /// Returns the arguments for a shell script in podman's place that answers `info` with `host`.
    fn answered(host: &str) -> Result<Vec<OsString>> {
        let script = format!(
            r#"case $1 in version) echo '{{"Client":{{"Version":"4.9.0"}}}}' ;; info) echo '{{"host":{host}}}' ;; esac"#
        );
        played(&script)
    }

    fn played(script: &str) -> Result<Vec<OsString>> {
        let podman =
            PodmanRuntime::builder().binary("sh").global_arg("-c").global_arg(script).global_arg("podman");
        podman.build()?.bypass_network_args()
    }

    const SLIRP: [&str; 4] = [
        "--network",
        "slirp4netns:allow_host_loopback=true",
        "--add-host",
        "host.containers.internal:10.0.2.2",
    ];

    #[test]
    fn root_needs_nothing() {
        let host = r#"{"security":{"rootless":false},"rootlessNetworkCmd":"pasta"}"#;
        assert!(answered(host).unwrap().is_empty());
    }

    #[test]
    fn the_mode_is_podmans_or_slirp4netns() {
        let rootless =
            |rest: &str| answered(&format!(r#"{{"security":{{"rootless":true}}{rest}}}"#)).unwrap();
        assert_eq!(
            rootless(r#","rootlessNetworkCmd":"pasta""#),
            [
                "--network",
                "pasta:--map-host-loopback,169.254.1.2",
                "--add-host",
                "host.containers.internal:169.254.1.2"
            ]
        );
        assert_eq!(rootless(r#","rootlessNetworkCmd":"slirp4netns""#), SLIRP);
        assert_eq!(rootless(r#","rootlessNetworkCmd":"teleport""#), SLIRP);
        assert_eq!(rootless(""), SLIRP);
    }

    #[test]
    fn a_podman_that_fails_is_an_error() {
        let error = played("echo 'Error: no' >&2; exit 125").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed);
        let error = played("echo nonsense").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    }

    #[test]
    fn the_profile_is_read_once() {
        let directory = crate::copy::host_path::TemporaryDirectory::new(&std::env::temp_dir()).unwrap();
        let count = directory.path().join("count");
        let script = format!(
            r#"echo x >>{}; echo '{{"Client":{{"Version":"5.0.0"}},"host":{{"security":{{"rootless":true}}}}}}'"#,
            count.display()
        );
        let podman =
            PodmanRuntime::builder().binary("sh").global_arg("-c").global_arg(script).global_arg("podman");
        let podman = podman.build().unwrap();
        for _ in 0..3 {
            podman.clone().bypass_network_args().unwrap();
        }
        assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\nx\n", "version and info");
    }
}
