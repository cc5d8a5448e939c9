//! Which CDI specs a version of podman reads. `rt-gpu` reads them.

use rt_gpu::{CdiSource, CdiVersion};

use super::{PodmanProfile, PodmanVersion};

const ETC: &str = "/etc/cdi";
const RUN: &str = "/var/run/cdi";

/// From this version on, podman reads directories from its flag `--cdi-spec-dir` and from
/// `cdi_spec_dirs` in containers.conf. Earlier versions ignore that entry (measured on 4.3.1 and
/// 5.4.2).
const CONFIGURED: PodmanVersion = PodmanVersion::new(5, 5, 0);
/// The default of 5.5 is `/etc/cdi` only (`DefaultCdiSpecDirs`); from 5.6 on it has both
/// directories again.
const BOTH_AGAIN: PodmanVersion = PodmanVersion::new(5, 6, 0);

/// The first version of podman that accepts a `cdiVersion`. 0.5.0, 0.8.0 and 1.0.0 were measured on
/// 4.3.1, 5.4.2 and 6.1.1; the others are those of the CDI library in podman's go.mod. A
/// distribution may build podman with an older library: Debian's 6.1.1 rejects 1.1.0.
const ACCEPTED: [(PodmanVersion, CdiVersion); 4] = [
    (PodmanVersion::new(5, 5, 0), CdiVersion::new(1, 0, 0)),
    (PodmanVersion::new(5, 2, 0), CdiVersion::new(0, 8, 0)),
    (PodmanVersion::new(5, 1, 0), CdiVersion::new(0, 7, 0)),
    (PodmanVersion::new(4, 7, 0), CdiVersion::new(0, 6, 0)),
];

impl PodmanProfile {
    /// Returns the directories of CDI specs that this podman reads, and the highest version that it
    /// accepts: for `GpuHost::cdi_source` of `rt-gpu`.
    ///
    /// podman reports its directories from 6.0 on ([`cdi_spec_dirs`](Self::cdi_spec_dirs)). From
    /// 5.5 on they are the defaults, unless `--cdi-spec-dir` or containers.conf names others. If
    /// another podman holds the containers, its version and its host count.
    pub fn cdi_source(&self) -> CdiSource {
        let version = self.server_version.unwrap_or(self.version);
        let newest = ACCEPTED.iter().find(|(since, _)| version >= *since);
        let newest = newest.map_or(CdiVersion::new(0, 5, 0), |(_, newest)| *newest);
        if let Some(dirs) = self.cdi_spec_dirs.as_ref().filter(|dirs| !dirs.is_empty()) {
            CdiSource::new(dirs, newest)
        } else if version >= CONFIGURED && version < BOTH_AGAIN {
            CdiSource::new([ETC], newest)
        } else {
            CdiSource::new([ETC, RUN], newest)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn source(version: &str) -> CdiSource {
        let version = json!({ "Client": { "Version": version } });
        PodmanProfile::decode(&version, &Value::Null).unwrap().cdi_source()
    }

    #[test]
    fn each_version_reads_specs_up_to_its_own() {
        for (podman, newest) in [
            ("4.3.1", "0.5.0"),
            ("4.6.2", "0.5.0"),
            ("4.7.0", "0.6.0"),
            ("5.0.3", "0.6.0"),
            ("5.1.0", "0.7.0"),
            ("5.4.2", "0.8.0"),
            ("5.5.0", "1.0.0"),
            ("5.8.2", "1.0.0"),
            ("6.1.1", "1.0.0"),
        ] {
            assert_eq!(source(podman).newest(), newest.parse().unwrap(), "{podman}");
        }
    }

    #[test]
    fn only_5_5_reads_one_directory() {
        for (podman, count) in
            [("4.3.1", 2), ("5.4.2", 2), ("5.5.0", 1), ("5.5.2", 1), ("5.6.0", 2), ("6.0.0", 2)]
        {
            assert_eq!(source(podman).dirs().len(), count, "{podman}");
        }
    }

    #[test]
    fn directories_that_podman_tells_are_taken() {
        let version = json!({ "Client": { "Version": "6.1.1" } });
        let info = json!({ "host": { "cdiSpecDirs": ["/etc/cdi", "/opt/cdi", "/run/cdi"] } });
        let profile = PodmanProfile::decode(&version, &info).unwrap();
        assert_eq!(profile.cdi_source().dirs().len(), 3);
    }

    #[test]
    fn the_podman_that_holds_the_containers_reads_them() {
        let version = json!({ "Client": { "Version": "5.4.2" }, "Server": { "Version": "4.3.1" } });
        let profile = PodmanProfile::decode(&version, &Value::Null).unwrap();
        assert_eq!(profile.cdi_source().newest(), CdiVersion::new(0, 5, 0));
    }
}
