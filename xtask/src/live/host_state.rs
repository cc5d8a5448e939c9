//! Where a suite ran, in one line: podman, its OCI runtime, its rights, its cgroups. A result
//! without it says little.

use std::fmt;

use serde_json::Value;

use super::mode::Mode;
use super::podman::Podman;
use crate::failure::{Failure, Result};

/// What podman says of the environment that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostState {
    podman: String,
    system: String,
    runtime: String,
    rootless: bool,
    cgroups: String,
    driver: String,
    mode: Mode,
}

impl HostState {
    pub(super) fn read(podman: &Podman, mode: Mode) -> Result<Self> {
        let info = podman.ask(&["info", "--format=json"])?;
        let info = serde_json::from_str(&info)
            .map_err(|error| Failure::new(format!("podman info answered no JSON: {error}")))?;
        Ok(Self::of(&info, mode))
    }

    fn of(info: &Value, mode: Mode) -> Self {
        let host = &info["host"];
        let word = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
        // `crun version 1.8.1`, and lines about its features.
        let runtime = word(&host["ociRuntime"]["version"]);
        Self {
            podman: word(&info["version"]["Version"]),
            system: format!(
                "{} {}",
                word(&host["distribution"]["distribution"]),
                word(&host["distribution"]["version"])
            ),
            runtime: runtime.lines().next().unwrap_or_default().replacen("version ", "", 1),
            rootless: host["security"]["rootless"] == true,
            cgroups: format!("{} by {}", word(&host["cgroupVersion"]), word(&host["cgroupManager"])),
            driver: word(&info["store"]["graphDriverName"]),
            mode,
        }
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { podman, system, runtime, cgroups, driver, .. } = self;
        let rights = if self.rootless { "rootless" } else { "rootful" };
        let mode = self.mode.name();
        write!(
            f,
            "podman {podman}, {runtime}, {rights}, cgroups {cgroups}, mode {mode}, {driver}, on {system}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_podman_runtime_rights_and_cgroups() {
        let info = serde_json::json!({
            "host": {
                "cgroupVersion": "v1", "cgroupManager": "cgroupfs", "security": { "rootless": false },
                "ociRuntime": { "version": "crun version 1.8.1\ncommit: f8a0" },
                "distribution": { "distribution": "debian", "version": "12" },
            },
            "store": { "graphDriverName": "overlay" },
            "version": { "Version": "4.3.1" },
        });
        assert_eq!(
            HostState::of(&info, Mode::CrunHybrid).to_string(),
            "podman 4.3.1, crun 1.8.1, rootful, cgroups v1 by cgroupfs, mode crun-hybrid, overlay, on debian 12"
        );
        let nothing = HostState::of(&Value::Null, Mode::Native).to_string();
        assert!(nothing.starts_with("podman unknown, unknown, rootful"), "{nothing}");
    }
}
