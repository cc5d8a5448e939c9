//! The version and environment of one podman, read once for a runtime.
//!
//! Most differences between versions are visible in the answer itself (a renamed key, a reworded
//! error) and are handled there tolerantly: the answer is better evidence than a version number.
//! This file has what must be known before a call.

mod cdi;
mod features;

use std::fmt;
use std::path::PathBuf;

use rt_protocol::{Error, Result, Until};
use serde_json::Value;

use crate::cli::engine::{Engine, invalid_response};
use crate::cli::json;

const OPERATION: &str = "describe podman";

/// Measured on 6.1.1; 6.0 by its release notes.
pub(crate) const SIX: PodmanVersion = PodmanVersion::new(6, 0, 0);

/// What podman reports about itself and its host (`podman version`, `podman info`).
///
/// Fields that an answer omits are `None`; keys come and go between versions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodmanProfile {
    /// The version of the podman program that is called.
    pub version: PodmanVersion,
    /// The version of the podman that holds the containers, if it is another one
    /// (`podman --remote`).
    pub server_version: Option<PodmanVersion>,
    /// Whether containers run without root's privileges.
    pub rootless: Option<bool>,
    /// Whether another process, perhaps on another machine, holds the containers.
    pub remote: Option<bool>,
    /// The network of a rootless container.
    pub rootless_network: RootlessNetwork,
    /// `v1` or `v2`.
    pub cgroup_version: Option<String>,
    /// `systemd` or `cgroupfs`.
    pub cgroup_manager: Option<String>,
    /// Where events are stored: `journald` or `file`. With `none`,
    /// [`events`](rt_protocol::ContainerRuntime::events) returns an error.
    pub events_logger: Option<String>,
    /// The log driver of new containers, unless they set another; with `none` there are no logs.
    pub log_driver: Option<String>,
    /// The OCI runtime of new containers, unless they set another: `crun`, `runc`.
    pub oci_runtime: Option<String>,
    /// `netavark` or `cni`.
    pub network_backend: Option<String>,
    /// The directory in which podman stores layers while they are pulled.
    pub image_copy_tmp_dir: Option<PathBuf>,
    /// The directories of CDI specs; podman reports them from 6.0 on.
    pub cdi_spec_dirs: Option<Vec<PathBuf>>,
    /// podman's warnings on stderr. Such a line precedes every answer, and also the stderr of every
    /// command in a container, where it cannot be distinguished from the command's own. podman 6
    /// warns about a `rootless_storage_path` beside a `graphroot` in storage.conf, podman 5 about
    /// cgroups v1.
    pub warnings: Vec<String>,
}

/// A version of podman, ordered by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodmanVersion {
    /// 5 of 5.4.2.
    pub major: u32,
    /// 4 of 5.4.2.
    pub minor: u32,
    /// 2 of 5.4.2.
    pub patch: u32,
}

/// The network of a rootless container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RootlessNetwork {
    /// slirp4netns, the default before 5.0; podman 6 has removed it. Also for a podman before 6
    /// that does not report it (all before 4.9), and for words that this crate does not know.
    #[default]
    Slirp4netns,
    /// pasta, the default from 5.0 on.
    Pasta,
}

impl PodmanProfile {
    pub(crate) fn read(engine: &Engine, until: &Until) -> Result<Self> {
        let ask = |verb: &str| {
            let args = [verb, "--format=json"];
            let answer = engine.ask_within(OPERATION, engine.limits.info, until, args)?;
            let warnings = warnings(answer.remarks());
            let said = answer.text().map_err(|error| error.with_subject(format!("by {verb}")))?;
            Ok::<_, Error>((decode(verb, &said)?, warnings))
        };
        let (version, warnings) = ask("version")?;
        let (info, _) = ask("info")?;
        Ok(Self { warnings, ..Self::decode(&version, &info)? })
    }

    pub(crate) fn decode(version: &Value, info: &Value) -> Result<Self> {
        let part = |name: &str| json::field(version, &[name]).and_then(PodmanVersion::of);
        // `Client` beside `Server` if there are two; some builds print the client's fields without
        // a heading.
        let own = part("Client")
            .or_else(|| PodmanVersion::of(version))
            .or_else(|| json::field(info, &["version"]).and_then(PodmanVersion::of))
            .ok_or_else(|| invalid_response(OPERATION, "podman named no version"))?;
        let server = part("Server").filter(|server| *server != own);
        let null = Value::Null;
        let host = json::field(info, &["host"]).unwrap_or(&null);
        let store = json::field(info, &["store"]).unwrap_or(&null);
        let security = json::field(host, &["security"]).unwrap_or(&null);
        let runtime = json::field(host, &["ociRuntime"]).unwrap_or(&null);
        Ok(Self {
            version: own,
            server_version: server,
            rootless: boolean(security, "rootless"),
            remote: boolean(host, "serviceIsRemote"),
            rootless_network: match json::text(host, &["rootlessNetworkCmd"]) {
                Some(word) => RootlessNetwork::from_word(&word),
                None if server.unwrap_or(own) >= SIX => RootlessNetwork::Pasta,
                None => RootlessNetwork::default(),
            },
            cgroup_version: json::text(host, &["cgroupVersion"]),
            cgroup_manager: json::text(host, &["cgroupManager"]),
            events_logger: json::text(host, &["eventLogger"]),
            log_driver: json::text(host, &["logDriver"]),
            oci_runtime: json::text(runtime, &["name"]),
            network_backend: json::text(host, &["networkBackend"]),
            image_copy_tmp_dir: json::text(store, &["imageCopyTmpDir"]).map(PathBuf::from),
            cdi_spec_dirs: paths(host, "cdiSpecDirs"),
            warnings: Vec::new(),
        })
    }
}

fn decode(verb: &str, stdout: &str) -> Result<Value> {
    serde_json::from_str(stdout).map_err(|cause| {
        let error: Error = invalid_response(OPERATION, format!("the answer of `podman {verb}` is not JSON"));
        error.with_source(cause)
    })
}

/// Returns the lines of stderr with podman's warnings.
fn warnings(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter(|line| line.starts_with("time=") && line.contains(" level=warning "));
    lines.map(str::to_owned).collect()
}

/// Returns a list of paths; other items in it are skipped.
fn paths(object: &Value, name: &str) -> Option<Vec<PathBuf>> {
    let list = json::field(object, &[name])?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(PathBuf::from).collect())
}

/// Returns a boolean, even if it is written as text.
fn boolean(object: &Value, name: &str) -> Option<bool> {
    match json::field(object, &[name])? {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

impl PodmanVersion {
    /// Creates a version from its numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Parses `5.4.2`, `4.9`, `5.5.0-rc1`, `v4.3.1+ds1`; `None` for a text without a major and a
    /// minor number.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut numbers = text.strip_prefix('v').unwrap_or(text).splitn(3, '.').map(|part| {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            part[..digits].parse::<u32>().ok()
        });
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self { major, minor, patch: numbers.next().flatten().unwrap_or(0) })
    }

    fn of(object: &Value) -> Option<Self> {
        Self::parse(&json::text(object, &["Version"])?)
    }
}

impl fmt::Display for PodmanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl RootlessNetwork {
    fn from_word(word: &str) -> Self {
        if word.eq_ignore_ascii_case("pasta") { Self::Pasta } else { Self::Slirp4netns }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn info(host: Value) -> Value {
        json!({ "host": host, "version": { "Version": "4.9.3" } })
    }

    #[test]
    fn the_recorded_answers_of_4_3_1_and_5_4_2_are_read() {
        let version = json!({ "Client": { "APIVersion": "4.3.1", "Version": "4.3.1", "Built": 0 } });
        let host = json!({
            "cgroupVersion": "v1", "cgroupManager": "cgroupfs", "eventLogger": "file", "logDriver": "k8s-file",
            "networkBackend": "netavark", "serviceIsRemote": false, "security": { "rootless": false },
            "ociRuntime": { "name": "crun", "version": "crun version 1.8.1" }, "slirp4netns": {},
        });
        let profile = PodmanProfile::decode(&version, &info(host.clone())).unwrap();
        assert_eq!(profile.version, PodmanVersion::new(4, 3, 1));
        assert_eq!(profile.server_version, None);
        assert_eq!((profile.rootless, profile.remote), (Some(false), Some(false)));
        assert_eq!(profile.rootless_network, RootlessNetwork::Slirp4netns);
        assert_eq!(profile.events_logger.as_deref(), Some("file"));
        assert_eq!(profile.oci_runtime.as_deref(), Some("crun"));
        let version = json!({ "Client": { "Version": "5.4.2" } });
        let mut host = host;
        host["rootlessNetworkCmd"] = json!("pasta");
        let profile = PodmanProfile::decode(&version, &info(host)).unwrap();
        assert_eq!(profile.version, PodmanVersion::new(5, 4, 2));
        assert_eq!(profile.rootless_network, RootlessNetwork::Pasta);
    }

    #[test]
    fn the_recorded_answer_of_6_1_1_is_read() {
        let version =
            json!({ "Client": { "APIVersion": "6.1.1", "Version": "6.1.1", "Built": 1_789_169_564 } });
        let host = json!({
            "cgroupManager": "cgroupfs", "cgroupVersion": "v2", "cgroupControllers": [], "eventLogger": "file",
            "cdiSpecDirs": ["/etc/cdi", "/var/run/cdi"], "logDriver": "k8s-file", "networkBackend": "netavark",
            "rootlessNetworkCmd": "pasta", "rootlessPortForwarder": "rootlessport", "serviceIsRemote": false,
            "security": { "rootless": false }, "ociRuntime": { "name": "crun" },
        });
        let profile = PodmanProfile::decode(&version, &info(host)).unwrap();
        assert_eq!(profile.version, PodmanVersion::new(6, 1, 1));
        assert_eq!(profile.cdi_spec_dirs, Some(vec!["/etc/cdi".into(), "/var/run/cdi".into()]));
        assert_eq!(profile.cgroup_version.as_deref(), Some("v2"));
        // It has only pasta, even if it does not report it.
        let silent = PodmanProfile::decode(&version, &Value::Null).unwrap();
        assert_eq!(
            (profile.rootless_network, silent.rootless_network),
            (RootlessNetwork::Pasta, RootlessNetwork::Pasta)
        );
    }

    #[test]
    fn what_podman_warns_of_is_kept_and_what_it_answers_is_not() {
        let stderr = "time=\"2026-11-28T19:21:08Z\" level=warning msg=\"Both rootless_storage_path and graphroot are set\"\n\
            time=\"2026-11-28T19:21:08Z\" level=error msg=\"other\"\nError: no such container\n";
        let found = warnings(stderr);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("graphroot are set\""), "{found:?}");
    }

    #[test]
    fn odd_fields_are_unknown_and_no_others_are_lost() {
        let version = json!({ "Client": null, "Server": 7 });
        let host = json!({
            "security": { "rootless": "true" }, "ociRuntime": null, "cgroupVersion": 2, "eventLogger": [],
            "rootlessNetworkCmd": "teleport",
        });
        let profile = PodmanProfile::decode(&version, &info(host)).unwrap();
        assert_eq!(profile.version, PodmanVersion::new(4, 9, 3));
        assert_eq!((profile.rootless, profile.oci_runtime, profile.events_logger), (Some(true), None, None));
        assert_eq!(profile.cgroup_version.as_deref(), Some("2"));
        assert_eq!(profile.rootless_network, RootlessNetwork::Slirp4netns);
        assert!(PodmanProfile::decode(&json!({}), &json!([])).is_err());
        assert!(PodmanProfile::decode(&json!({ "Version": "4.4" }), &Value::Null).is_ok());
    }

    #[test]
    fn a_server_of_another_version_is_told() {
        let version = json!({ "Client": { "Version": "5.4.2" }, "Server": { "Version": "4.9.3" } });
        let profile = PodmanProfile::decode(&version, &Value::Null).unwrap();
        assert_eq!(profile.server_version, Some(PodmanVersion::new(4, 9, 3)));
    }

    #[test]
    fn versions_are_read_and_ordered_by_their_numbers() {
        for (text, expected) in [
            ("4.3.1", Some((4, 3, 1))),
            ("v5.10.0-rc1", Some((5, 10, 0))),
            ("5.5.0-dev-3fa1", Some((5, 5, 0))),
            ("4.9", Some((4, 9, 0))),
            (" 4.3.1+ds1-8+deb12u1\n", Some((4, 3, 1))),
            ("5", None),
            ("", None),
            ("x.y.z", None),
            ("99999999999.1.1", None),
        ] {
            let expected = expected.map(|(major, minor, patch)| PodmanVersion::new(major, minor, patch));
            assert_eq!(PodmanVersion::parse(text), expected, "{text}");
        }
        assert!(PodmanVersion::new(5, 10, 0) > PodmanVersion::new(5, 9, 9));
        assert_eq!(PodmanVersion::new(5, 4, 2).to_string(), "5.4.2");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,30}|[0-9.v+-]{0,20}") {
            let _ = PodmanVersion::parse(&text);
            let _ = PodmanProfile::decode(&json!({ "Client": { "Version": text } }), &json!({ "host": text }));
        }
    }
}
