//! Decodes `podman ps` and `podman container inspect` into [`ContainerInfo`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::{
    ContainerId, ContainerInfo, ContainerName, ContainerState, Env, Error, Health, ImageId, MountInfo,
    PublishedPort, Result, Secret, TransportProtocol,
};
use serde_json::Value;

use crate::cli::engine::invalid_response;
use crate::cli::json;
use crate::exec::session::read_pid;
use crate::lifecycle::create_argv::MADE_BY;

/// Decodes the rows of `podman ps --format json`.
///
/// A row that cannot be read is an error, because its container must not seem absent. A container
/// without a name, or with one that is not a valid [`ContainerName`], is left out with a warning: a
/// caller cannot mean it, and it must not hide the others.
pub(crate) fn decode_ps(operation: &'static str, stdout: &str) -> Result<Vec<Listed>> {
    let rows = rows(operation, stdout)?;
    let listed = |info, row| Listed { info, pid: pid_of(row, "Pid") };
    let container = |row| Ok(ps_row(operation, row)?.map(|info| listed(info, row)));
    rows.iter().filter_map(|row| container(row).transpose()).collect()
}

/// A container in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) info: ContainerInfo,
    /// The pid of the main process while it runs, on the machine of the podman that answers.
    pub(crate) pid: Option<u32>,
}

impl Listed {
    /// Returns whether the process that podman names for it does not exist, as seen from this host.
    pub(crate) fn has_lost_its_process(&self) -> bool {
        self.pid.is_some_and(has_gone)
    }
}

/// Returns whether a process has ended, or is about to and runs no more of its program.
fn has_gone(pid: u32) -> bool {
    let is_running =
        |entry: Option<ProcessEntry>| entry.map_or(Ok(false), |entry| procfs::is_running(&entry));
    matches!(procfs::entry(pid).and_then(is_running), Ok(false))
}

fn pid_of(object: &Value, name: &str) -> Option<u32> {
    json::integer(object, &[name]).and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0)
}

/// Decodes the sizes of the writable layers from `podman ps --size --format json`.
pub(crate) fn decode_ps_sizes(
    operation: &'static str,
    stdout: &str,
) -> Result<BTreeMap<ContainerName, Option<u64>>> {
    let size = |row: &Value| json::unsigned(json::field(row, &["Size"])?, &["rwSize"]);
    let named = |row: &Value| Ok(ps_row(operation, row)?.map(|info| (info.name, size(row))));
    rows(operation, stdout)?.iter().filter_map(|row| named(row).transpose()).collect()
}

/// Decodes the container of `podman container inspect`. An empty answer is an error: podman says in
/// words that a container does not exist.
pub(crate) fn decode_inspect(operation: &'static str, stdout: &str) -> Result<Inspected> {
    let rows = rows(operation, stdout)?;
    let row = rows.first().ok_or_else(|| nothing_described(operation))?;
    inspect_row(row)
        .ok_or_else(|| invalid_response(operation, "podman described a container without id, name or state"))
}

/// Builds the error for an inspect that found nothing and does not say so.
pub(crate) fn nothing_described(operation: &'static str) -> Error {
    invalid_response(operation, "podman described nothing, and did not say that there is nothing")
}

/// Decodes a list of objects; some versions print `null` for an empty one.
pub(crate) fn rows(operation: &'static str, stdout: &str) -> Result<Vec<Value>> {
    match serde_json::from_str(stdout) {
        Ok(Value::Array(rows)) => Ok(rows),
        Ok(Value::Null) => Ok(Vec::new()),
        Ok(row @ Value::Object(_)) => Ok(vec![row]),
        Ok(_) => Err(invalid_response(operation, "podman answered with something that is no list")),
        Err(error) => Err(invalid_response(operation, "podman's JSON is broken").with_source(error)),
    }
}

/// What inspect reports beyond the contract: podman's files of the container, and its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) info: ContainerInfo,
    /// The directory of the container's exec sessions.
    pub(crate) static_dir: Option<String>,
    /// The host's pid of the main process while it runs.
    pub(crate) pid: Option<u32>,
    /// The exec sessions that podman has a record of: running ones, and those whose client did not
    /// see the end.
    pub(crate) exec_ids: Vec<String>,
    /// The files in which conmon writes its own pid and that of the process it has prepared.
    pid_files: [Option<String>; 2],
    /// The size of the writable layer in bytes, if it was requested.
    pub(crate) rw_size: Option<u64>,
    /// The pid of its conmon, on the machine of the podman that answers; outdated if the container
    /// has stopped.
    pub(crate) conmon_pid: Option<u32>,
    /// Its log driver; empty if podman does not say.
    pub(crate) log_driver: String,
    /// Its log file, if conmon writes one.
    pub(crate) log_path: Option<String>,
    /// Whether its main process has a terminal.
    pub(crate) is_terminal: bool,
    /// The variables that its image and its launch set.
    pub(crate) env: Env,
    /// Identifies the call that created it, see
    /// [`create_argv::MADE_BY`](crate::lifecycle::create_argv::MADE_BY).
    pub(crate) made_by: Option<String>,
}

impl Inspected {
    /// Returns the host's pid of conmon, as conmon has written it; it may be that of an earlier
    /// conmon.
    pub(crate) fn conmon(&self) -> Option<u32> {
        read_pid(Path::new(self.pid_files[0].as_deref()?))
    }

    /// Returns whether its process and its conmon are both gone while podman considers them
    /// running. Then nothing will report the end to podman.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.has_lost_first_process() && self.has_lost_conmon()
    }

    /// Returns whether its process is gone while podman considers it running. (For an exited
    /// container podman gives no process.)
    pub(crate) fn has_lost_first_process(&self) -> bool {
        // A pid on another machine says nothing here.
        self.is_of_this_host() && self.pid.is_some_and(has_gone)
    }

    /// Returns whether its conmon is gone.
    pub(crate) fn has_lost_conmon(&self) -> bool {
        // A pid on another machine says nothing here.
        self.is_of_this_host() && self.conmon_pid.is_some_and(has_gone)
    }

    /// Returns its process if that runs and its conmon is gone. Then nothing will report the end to
    /// podman.
    pub(crate) fn unwatched_process(&self) -> Option<ProcessEntry> {
        // In this order: a conmon that has reported the end of the process is gone too.
        let pid = self.pid.filter(|_| self.has_lost_conmon())?;
        let entry = procfs::entry(pid).ok().flatten()?;
        matches!(procfs::is_running(&entry), Ok(true)).then_some(entry)
    }

    /// Returns whether this host can see podman's files of it, and so its processes.
    pub(crate) fn is_of_this_host(&self) -> bool {
        self.static_dir.as_deref().is_some_and(|path| Path::new(path).is_dir())
    }

    /// Returns the host's pid of the process that conmon has prepared, as conmon has written it.
    pub(crate) fn prepared(&self) -> Option<u32> {
        read_pid(Path::new(self.pid_files[1].as_deref()?))
    }
}

/// Variables that podman sets if nothing else does.
const OWN_VARIABLES: [&str; 3] =
    ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "container=podman"];

/// Returns the variables of a container, from image and launch. A value that was not in the clear
/// in podman's own command line may have been a secret, and counts as one. Names that no shell can
/// export are left out.
fn variables(config: &Value) -> Env {
    let texts = |name| json::list(config, &[name]).iter().filter_map(Value::as_str);
    let words: Vec<&str> =
        texts("CreateCommand").map(|word| word.strip_prefix("--env=").unwrap_or(word)).collect();
    let mut env = Env::default();
    for text in texts("Env") {
        let Some((name, value)) = text.split_once('=') else { continue };
        // podman reports the main process's, for its user; commands have their own.
        let is_own = matches!(name, "HOME" | "HOSTNAME");
        if is_own && !words.iter().any(|word| word.split('=').next() == Some(name)) {
            continue;
        }
        let _left_out = if words.contains(&text) || OWN_VARIABLES.contains(&text) {
            env.set(name, value)
        } else {
            env.set_secret(name, Secret::new(value))
        };
    }
    env
}

/// Decodes the container of a row; `None` if a caller cannot mean it by a name.
fn ps_row(operation: &'static str, row: &Value) -> Result<Option<ContainerInfo>> {
    let id = json::text(row, &["Id"]).and_then(|id| ContainerId::new(id).ok());
    let (Some(id), Some(state)) = (id, json::text(row, &["State"])) else {
        return Err(unreadable(operation, row));
    };
    let name = ps_name(row).map_err(|()| unreadable(operation, row))?;
    let name = match name.map(ContainerName::of_existing) {
        Some(Ok(name)) => name,
        Some(Err(refused)) => {
            tracing::warn!(operation, container = %id, %refused, "a container is left out of a listing");
            return Ok(None);
        }
        None => {
            tracing::warn!(operation, container = %id, "a container without a name is left out of a listing");
            return Ok(None);
        }
    };
    let mut info = ContainerInfo::new(name, id, ContainerState::from(state));
    info.image_id = json::text(row, &["ImageID"]).and_then(|id| ImageId::new(id).ok());
    info.image_name = json::text(row, &["Image"]);
    info.created = json::time(row, &["Created"]);
    info.started_at = json::time(row, &["StartedAt"]);
    info.finished_at = json::time(row, &["ExitedAt"]);
    if info.state.has_exited() {
        info.exit_code = exit_code(row);
    }
    info.mounts = json::list(row, &["Mounts"])
        .iter()
        .filter_map(Value::as_str)
        .map(|destination| MountInfo::new(None, destination))
        .collect();
    info.ports = json::list(row, &["Ports"]).iter().flat_map(ps_ports).collect();
    info.labels = json::text_pairs(row, &["Labels"]).collect();
    Ok(Some(info))
}

/// Returns the name in a row, if it has one; an error if that cannot be decided.
fn ps_name(row: &Value) -> std::result::Result<Option<String>, ()> {
    let given = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    match json::field(row, &["Names"]) {
        None => Ok(None),
        Some(Value::String(name)) => Ok(given(name)),
        Some(Value::Array(names)) => match names.first() {
            None => Ok(None),
            Some(name) => name.as_str().map(given).ok_or(()),
        },
        Some(_) => Err(()),
    }
}

fn unreadable(operation: &'static str, row: &Value) -> Error {
    const LONGEST: usize = 200;
    let shown: String = row.to_string().chars().take(LONGEST).collect();
    invalid_response(operation, format!("podman lists a container that cannot be read: {shown}"))
}

/// Returns whether a process can have this exit code. podman writes -1 for an unknown one.
pub(crate) fn is_exit_code(code: i32) -> bool {
    (0..=255).contains(&code)
}

fn exit_code(object: &Value) -> Option<i32> {
    let code = json::integer(object, &["ExitCode"]).and_then(|code| i32::try_from(code).ok());
    code.filter(|code| is_exit_code(*code))
}

/// Decodes published ports; one row may stand for a range.
fn ps_ports(row: &Value) -> Vec<PublishedPort> {
    let port = |names: &[&str]| json::integer(row, names).and_then(|port| u16::try_from(port).ok());
    let (Some(container), Some(host)) = (port(&["container_port"]), port(&["host_port"])) else {
        return Vec::new();
    };
    let address = json::text(row, &["host_ip"]).and_then(|text| text.parse().ok());
    let words = json::text(row, &["protocol"]).unwrap_or_default();
    let count = port(&["range"]).unwrap_or(1).max(1);
    (0..count)
        .filter_map(|step| Some((container.checked_add(step)?, host.checked_add(step)?)))
        .flat_map(|(container, host)| {
            words.split(',').filter_map(protocol).map(move |protocol| (container, protocol, host))
        })
        .map(|(container, protocol, host)| PublishedPort::new(container, protocol, address, host))
        .collect()
}

/// Returns the protocol for podman's word; without a word it is TCP.
fn protocol(word: &str) -> Option<TransportProtocol> {
    if word.is_empty() { Some(TransportProtocol::Tcp) } else { word.parse().ok() }
}

/// The exit code of a main process that was ended by KILL.
const KILLED: i32 = 137;

fn inspect_row(row: &Value) -> Option<Inspected> {
    let name = json::text(row, &["Name"])?;
    let name = ContainerName::of_existing(name.trim_start_matches('/')).ok()?;
    let state = json::field(row, &["State"])?;
    let status = ContainerState::from(json::text(state, &["Status"])?);
    let mut info = ContainerInfo::new(name, ContainerId::new(json::text(row, &["Id"])?).ok()?, status);
    info.image_id = json::text(row, &["Image"]).and_then(|id| ImageId::new(id).ok());
    info.image_name = json::text(row, &["ImageName"]);
    info.created = json::time(row, &["Created"]);
    info.started_at = json::time(state, &["StartedAt"]);
    info.finished_at = json::time(state, &["FinishedAt"]);
    if info.state.has_exited() {
        info.exit_code = exit_code(state);
    }
    info.oom_killed = json::field(state, &["OOMKilled"]).and_then(Value::as_bool).filter(|killed| {
        // With cgroups of version 1, conmon may see none of the kernel's kills (2.1.6).
        info.state.has_exited() && (*killed || info.exit_code.is_some_and(|code| code != KILLED))
    });
    info.health = json::field(state, &["Health", "Healthcheck"])
        .and_then(|health| json::text(health, &["Status"]))
        .filter(|word| !word.is_empty() && word != "none")
        .map(Health::from);
    info.mounts = json::list(row, &["Mounts"])
        .iter()
        .filter_map(|mount| {
            let source = json::text(mount, &["Source"]).map(Into::into);
            Some(MountInfo::new(source, json::text(mount, &["Destination"])?))
        })
        .collect();
    info.ports = json::field(row, &["NetworkSettings"]).map(inspect_ports).unwrap_or_default();
    info.labels = json::field(row, &["Config"])
        .map(|config| json::text_pairs(config, &["Labels"]).collect())
        .unwrap_or_default();
    info.oci_runtime = json::text(row, &["OCIRuntime"]);
    let log = json::field(row, &["HostConfig"]).and_then(|host| json::field(host, &["LogConfig"]));
    let log_driver = log.and_then(|log| json::text(log, &["Type"])).unwrap_or_default();
    Some(Inspected {
        info,
        static_dir: json::text(row, &["StaticDir"]),
        pid: pid_of(state, "Pid"),
        conmon_pid: pid_of(state, "ConmonPid"),
        log_path: log
            .filter(|_| matches!(log_driver.as_str(), "k8s-file" | "json-file"))
            .and_then(|log| json::text(log, &["Path"])),
        log_driver,
        is_terminal: json::field(row, &["Config"])
            .and_then(|config| json::field(config, &["Tty"]))
            .is_some_and(|tty| tty.as_bool() == Some(true)),
        exec_ids: json::list(row, &["ExecIDs"]).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        pid_files: [json::text(row, &["ConmonPidFile"]), json::text(row, &["PidFile"])],
        rw_size: json::unsigned(row, &["SizeRw"]),
        env: json::field(row, &["Config"]).map(variables).unwrap_or_default(),
        made_by: json::field(row, &["Config"]).and_then(|config| {
            let mut annotations = json::text_pairs(config, &["Annotations"]);
            annotations.find(|(name, _)| name == MADE_BY).map(|(_, value)| value)
        }),
    })
}

/// Decodes `{"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4242"}], "81/tcp": null}`.
fn inspect_ports(settings: &Value) -> Vec<PublishedPort> {
    let Some(ports) = json::field(settings, &["Ports"]).and_then(Value::as_object) else {
        return Vec::new();
    };
    let mut found: Vec<PublishedPort> = ports
        .iter()
        .filter_map(|(key, bindings)| {
            let (port, word) = key.split_once('/').unwrap_or((key, ""));
            Some((port.parse().ok()?, protocol(word)?, bindings.as_array()?))
        })
        .flat_map(|(port, protocol, bindings)| {
            bindings.iter().filter_map(move |binding| {
                let address: Option<IpAddr> =
                    json::text(binding, &["HostIp"]).and_then(|text| text.parse().ok());
                let host = json::integer(binding, &["HostPort"]).and_then(|port| u16::try_from(port).ok())?;
                Some(PublishedPort::new(port, protocol, address, host))
            })
        })
        .collect();
    found.sort_by_key(|port| (port.container_port, port.host_port));
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PS: &str = r#"[{"Id":"ab","Names":["x-a"],"State":"exited","ExitCode":5,"Created":1795293700,"StartedAt":
        -62135596800,"Ports":[{"host_ip":"127.0.0.1","container_port":80,"host_port":4242,"range":2,"protocol":"tcp"}],
        "Labels":null,"Mounts":["/data"],"Image":"localhost/bb:latest","ImageID":"cd","Size":{"rwSize":79,"rootFsSize":9}},
        {"Names":null,"Id":"y","State":"exited"},{"Names":["bad name"],"Id":"x","State":"running"}]"#;

    #[test]
    fn what_the_command_line_did_not_show_is_a_secret() {
        let config = serde_json::json!({
            "CreateCommand": ["podman", "create", "--env", "A=b c", "--env=B=x", "--env", "TOKEN", "image", "D=x"],
            "Env": [
                OWN_VARIABLES[0], "TERM=vt100", "container=podman", "A=b c", "B=x", "TOKEN=hunter2", "C=image=1",
                "A.B=odd", "HOME=/root", "HOSTNAME=0123456789ab", "none",
            ],
        });
        let env = variables(&config);
        let seen: Vec<_> = env
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose().to_str().unwrap(), value.is_secret()))
            .collect();
        let path = OWN_VARIABLES[0].strip_prefix("PATH=").unwrap();
        let expected = [
            ("PATH", path, false),
            ("TERM", "vt100", true),
            ("container", "podman", false),
            ("A", "b c", false),
            ("B", "x", false),
            ("TOKEN", "hunter2", true),
            ("C", "image=1", true),
        ];
        assert_eq!(seen, expected);
        let home = serde_json::json!({ "CreateCommand": ["--env", "HOME"], "Env": ["HOME=/h"] });
        assert_eq!(variables(&home).len(), 1);
    }

    #[test]
    fn a_container_that_nobody_can_mean_does_not_lose_the_others() {
        let rows: Vec<_> = decode_ps("list", PS).unwrap().into_iter().map(|listed| listed.info).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].name.as_str(), rows[0].exit_code, rows[0].started_at), ("x-a", Some(5), None));
        let ports: Vec<_> = rows[0].ports.iter().map(|port| (port.container_port, port.host_port)).collect();
        assert_eq!(ports, [(80, 4242), (81, 4243)]);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error_that_shows_it() {
        for row in [
            "7",
            "null",
            "{}",
            r#"{"Id":"x","Names":["a"]}"#,
            r#"{"Names":["a"],"State":"running"}"#,
            r#"{"Id":"x","Names":[7],"State":"running"}"#,
            r#"{"Id":"x","Names":{"a":1},"State":"running"}"#,
        ] {
            let rows =
                format!(r#"[{{"Names":["b"],"Id":"y","State":"running","Size":{{"rwSize":1}}}},{row}]"#);
            let error = decode_ps("list", &rows).unwrap_err();
            assert_eq!(error.kind(), rt_protocol::ErrorKind::InvalidResponse);
            assert!(error.message().ends_with(row), "{error}");
            assert!(decode_ps_sizes("measure", &rows).is_err(), "{row}");
        }
    }

    #[test]
    fn no_containers_are_an_empty_list() {
        for none in ["[]", " null\n"] {
            assert_eq!(decode_ps("list", none).unwrap(), []);
            assert!(decode_inspect("inspect", none).is_err());
        }
        for broken in ["", " \n", "[{", "7", "\"x\"", "Error"] {
            assert!(decode_ps("list", broken).is_err(), "{broken}");
            assert!(decode_inspect("inspect", broken).is_err(), "{broken}");
        }
        assert!(decode_inspect("inspect", "[{}]").is_err());
    }

    #[test]
    fn inspect_of_both_versions_is_read() {
        // 4.3.1 writes Health with an empty status if there is no check; 5.x omits it.
        for health in [r#""Health":{"Status":"","FailingStreak":0,"Log":null},"#, ""] {
            let text = format!(
                r#"[{{"Id":"ab","Name":"t","Image":"cd","OCIRuntime":"crun","StaticDir":"/s","State":{{{health}"Status":
                "running","OOMKilled":true,"Pid":12,"ExitCode":0,"StartedAt":"2026-11-21T22:43:49.15001658Z","FinishedAt":
                "0001-01-01T00:00:00Z"}},"NetworkSettings":{{"Ports":{{"22/tcp":[{{"HostIp":"","HostPort":"18180"}}],
                "80/tcp":null}}}},"Config":{{"Labels":{{"a":"b"}}}},"SizeRw":12}}]"#
            );
            let found = decode_inspect("inspect", &text).unwrap();
            assert_eq!(found.info.health, None);
            assert_eq!(found.info.oom_killed, None);
            assert!(found.info.started_at.is_some() && found.info.finished_at.is_none());
            assert_eq!((found.pid, found.rw_size, found.info.exit_code), (Some(12), Some(12), None));
            assert_eq!(found.info.ports, [PublishedPort::new(22, TransportProtocol::Tcp, None, 18180)]);
        }
    }

    #[test]
    fn an_end_by_kill_may_be_one_that_podman_has_missed() {
        let killed = |status: &str, code: i32, told: bool| {
            let text = format!(
                r#"[{{"Id":"ab","Name":"t","State":{{"Status":"{status}","OOMKilled":{told},"ExitCode":{code}}}}}]"#
            );
            decode_inspect("inspect", &text).unwrap().info.oom_killed
        };
        assert_eq!(killed("exited", 137, true), Some(true));
        assert_eq!(killed("exited", 137, false), None);
        assert_eq!(killed("exited", 1, false), Some(false));
        assert_eq!(killed("running", 0, false), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_decoder_panic(text in "\\PC{0,60}|(\\[|\\{|\"Id\":|\"Names\":|null|1|,|\\]|\\}|\"x\"){0,20}") {
            let _ = decode_ps("list", &text);
            let _ = decode_inspect("inspect", &text);
        }
    }
    #[test]
    fn a_name_may_be_a_text_or_a_list_and_of_any_length() {
        let long = "a".repeat(300);
        for names in [format!("\"{long}\""), format!("[\"{long}\",\"other\"]")] {
            let row = format!("{{\"Names\":{names},\"Id\":\"x\",\"State\":\"running\"}}");
            let row = serde_json::from_str(&row).unwrap();
            assert_eq!(ps_row("list", &row).unwrap().unwrap().name.as_str(), long);
        }
    }
}
