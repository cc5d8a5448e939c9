//! From a [`LaunchSpec`] to the arguments of `podman create`: a pure function.

use std::ffi::{OsStr, OsString};

use rt_process::{ExecMarker, ProcessSpec};
use rt_protocol::{
    Argv, BindMount, Entrypoint, HealthCheck, InvalidValue, LaunchSpec, Network, PortMapping, RestartPolicy,
    Result, Tmpfs, Volume,
};

use crate::cli::secret_env::{Passed, SecretEnv};
use crate::cli::shell::quoted;

/// The annotation that identifies the call that created a container.
pub(crate) const MADE_BY: &str = "rt.create-id";

/// Adds `create …` for `spec` to a call of podman. The container carries `marker`, by which the
/// call recognises it.
///
/// Every value of the caller follows an option that takes exactly one value, or `--`. Secret values
/// are in podman's own environment, with only their names in the argv.
pub(crate) fn create(call: ProcessSpec, spec: &LaunchSpec, marker: &ExecMarker) -> Result<Passed> {
    refuse_passthrough(spec.extra_args())?;
    let mut secrets = SecretEnv::new(true);
    let call = match spec.oci_runtime() {
        // A flag of podman itself, not of its verb.
        Some(runtime) => call.args(["--runtime", runtime.as_str()]),
        None => call,
    };
    let mut call = call.args(["create", "--name"]).arg(spec.name().as_str());
    call = call.arg(format!("--pull={}", spec.pull().as_str()));
    // A proxy's address often contains a password, and the container may not be trusted.
    call = call.arg("--http-proxy=false");
    call = secrets.pass_settings(call, spec.user(), spec.workdir(), spec.env())?;
    for (key, value) in spec.labels() {
        call = call.arg("--label").arg(format!("{key}={value}"));
    }
    for (key, value) in spec.annotations() {
        call = call.arg("--annotation").arg(csv_field("annotation", format!("{key}={value}"))?);
    }
    call = call.arg(format!("--annotation={MADE_BY}={}", marker.value()));
    for port in spec.ports() {
        call = call.arg("--publish").arg(publish(port));
    }
    for mount in spec.mounts() {
        call = call.arg("--mount").arg(bind(mount)?);
    }
    if let Some(bytes) = spec.memory() {
        call = call.arg(format!("--memory={bytes}b"));
    }
    if let Some(milli) = spec.milli_cpus() {
        call = call.arg(format!("--cpus={}.{:03}", milli / 1000, milli % 1000));
    }
    match spec.network() {
        Network::None => call = call.arg("--network=none"),
        Network::Host => call = call.arg("--network=host"),
        Network::Named(name) => call = call.arg(format!("--network={}", name.as_str())),
        _ => {}
    }
    if spec.init() {
        call = call.arg("--init");
    }
    call = settings(call, spec)?;
    call = call.args(spec.gpu_args().iter().cloned()).args(spec.extra_args().iter().cloned());
    let mut passed = secrets.finish(call);
    passed.call = passed.call.arg("--").arg(spec.image().as_str());
    if let Some(argv) = spec.command() {
        passed.call = passed.call.args(argv.words().iter().cloned());
    }
    Ok(passed)
}

/// Adds what the main process may do, and what podman does about its start and end.
fn settings(mut call: ProcessSpec, spec: &LaunchSpec) -> Result<ProcessSpec> {
    match spec.entrypoint() {
        Entrypoint::None => call = call.arg("--entrypoint="),
        Entrypoint::Argv(argv) => {
            call = call.arg(format!("--entrypoint={}", json_words("entrypoint", argv)?));
        }
        _ => {}
    }
    if spec.read_only_root() {
        // Otherwise podman mounts writable directories of its own choice.
        call = call.args(["--read-only", "--read-only-tmpfs=false"]);
    }
    for tmpfs in spec.tmpfs() {
        call = call.arg("--mount").arg(self::tmpfs(tmpfs)?);
    }
    for volume in spec.volumes() {
        call = call.arg("--mount").arg(self::volume(volume)?);
    }
    if let Some(most) = spec.pids_limit() {
        call = call.arg(format!("--pids-limit={most}"));
    }
    call = call.args(spec.cap_add().iter().map(|capability| format!("--cap-add={capability}")));
    call = call.args(spec.cap_drop().iter().map(|capability| format!("--cap-drop={capability}")));
    call = call.args(spec.security_options().iter().map(|option| format!("--security-opt={option}")));
    if spec.restart() != RestartPolicy::No {
        call = call.arg(format!("--restart={}", spec.restart()));
    }
    if let Some(check) = spec.health_check() {
        call = health_check(call, check)?;
    }
    if let Some(signal) = spec.stop_signal() {
        call = call.arg(format!("--stop-signal={}", signal.number()));
    }
    Ok(call)
}

fn health_check(mut call: ProcessSpec, check: &HealthCheck) -> Result<ProcessSpec> {
    call = call.arg(format!("--health-cmd={}", health_command(check.command())?));
    let times = [
        ("interval", check.interval()),
        ("timeout", check.timeout()),
        ("start-period", check.start_period()),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            call = call.arg(format!("--health-{name}={}ms", time.as_millis()));
        }
    }
    Ok(match check.retries() {
        Some(retries) => call.arg(format!("--health-retries={retries}")),
        None => call,
    })
}

/// Returns the command of a health check as podman reads it: several words are an argv, and a
/// single one is a text for a shell. A first word that is one of Docker's keywords makes podman
/// split the JSON at its blanks (4.3.1).
fn health_command(command: &Argv) -> Result<String> {
    const KEYWORDS: [&str; 3] = ["CMD", "CMD-SHELL", "NONE"];
    let program = command.program();
    if KEYWORDS.iter().any(|keyword| program.eq_ignore_ascii_case(keyword)) {
        let reason = "podman reads it as a keyword: start it by its path";
        return Err(InvalidValue::new("health check", program, reason).into());
    }
    if command.arguments().is_empty() {
        return json_words("health check", &Argv::new([quoted(program)])?);
    }
    json_words("health check", command)
}

/// Returns the words as a list in JSON.
fn json_words(what: &'static str, argv: &Argv) -> Result<String> {
    let words: Option<Vec<&str>> = argv.words().iter().map(|word| word.to_str()).collect();
    let words = words.ok_or_else(|| InvalidValue::hidden(what, "podman takes only UTF-8"))?;
    Ok(serde_json::Value::from(words).to_string())
}

/// Refuses the log driver that hands podman's own streams to the container: they are those of one
/// short call, and podman prints no id.
fn refuse_passthrough(extra_args: &[OsString]) -> Result<()> {
    let mut words = extra_args.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        let driver = match word.strip_prefix("--log-driver") {
            Some("") => words.next().unwrap_or_default(),
            Some(value) => value.strip_prefix('=').unwrap_or_default().to_owned().into(),
            None => continue,
        };
        if driver.starts_with("passthrough") {
            let reason = "it would connect the container to the streams of podman's own short call";
            return Err(InvalidValue::new("log driver", driver.as_ref(), reason).into());
        }
    }
    Ok(())
}

/// Returns `IP:HOST:CONTAINER/PROTOCOL`; with an empty host port podman picks one.
fn publish(port: &PortMapping) -> String {
    let address = match port.host_ip() {
        Some(std::net::IpAddr::V6(address)) => format!("[{address}]:"),
        Some(std::net::IpAddr::V4(address)) => format!("{address}:"),
        None => String::new(),
    };
    let host = port.host_port().map(|port| port.to_string()).unwrap_or_default();
    let separator = if address.is_empty() && host.is_empty() { "" } else { ":" };
    format!("{address}{host}{separator}{}/{}", port.container_port(), port.protocol())
}

/// Returns the value of `--mount`, with comma-separated fields. `-v` would fail on colons.
fn bind(mount: &BindMount) -> Result<OsString> {
    let source = path_field("source", mount.source().as_os_str())?;
    let destination = path_field("destination", mount.destination().as_os_str())?;
    let access = if mount.is_read_only() { ",readonly=true" } else { "" };
    Ok(format!("type=bind,{source},{destination}{access}").into())
}

/// Returns the value of `--mount` for an empty directory: podman would copy what the image has
/// there.
fn tmpfs(tmpfs: &Tmpfs) -> Result<OsString> {
    let destination = path_field("destination", tmpfs.destination().as_os_str())?;
    let size = tmpfs.size().map(|bytes| format!(",tmpfs-size={bytes}")).unwrap_or_default();
    Ok(format!("type=tmpfs,{destination},notmpcopyup,tmpfs-mode={:o}{size}", tmpfs.mode()).into())
}

fn volume(volume: &Volume) -> Result<OsString> {
    let source = volume.name().map(|name| format!("source={name},")).unwrap_or_default();
    let destination = path_field("destination", volume.destination().as_os_str())?;
    let access = if volume.is_read_only() { ",readonly=true" } else { "" };
    Ok(format!("type=volume,{source}{destination}{access}").into())
}

fn path_field(key: &str, path: &OsStr) -> Result<String> {
    let text =
        path.to_str().ok_or_else(|| InvalidValue::new("mount path", path, "podman takes only UTF-8"))?;
    csv_field("mount path", format!("{key}={text}"))
}

/// Quotes one field for an option that Go's CSV reader parses: a field with a comma, a quotation
/// mark or a line end is quoted, with its quotation marks doubled.
fn csv_field(what: &'static str, text: String) -> Result<String> {
    if text.contains("\r\n") {
        let reason = "podman would read a carriage return before a line's end as none";
        return Err(InvalidValue::new(what, text, reason).into());
    }
    Ok(if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rt_process::Program;

    use super::*;

    fn words(spec: &LaunchSpec) -> Vec<String> {
        let shell = Program::find("/bin/sh").unwrap();
        let call = create(ProcessSpec::new(&shell), spec, &ExecMarker::fresh()).unwrap().call;
        let mut words = shlex::split(&call.to_string()).unwrap();
        let program = words.iter().position(|word| word == "/bin/sh").unwrap();
        let mut words = words.split_off(program + 1);
        let of_maker = words.iter().position(|word| word.starts_with("--annotation=rt.create-id=")).unwrap();
        words.remove(of_maker);
        words
    }

    #[test]
    fn every_field_has_its_words() {
        let spec = LaunchSpec::builder("web", "localhost/bb:1")
            .command(["sh", "-c", "exit"])
            .env("A", "b c")
            .secret_env("TOKEN", "hunter2")
            .label("k", "v")
            .annotation("run.oci.x", "1")
            .port(PortMapping::any_port_on_loopback(80))
            .port(PortMapping::on_loopback(8080, 81))
            .port(PortMapping::any_port_on_loopback(82).with_host_ip(None))
            .mount(BindMount::read_only("/srv/a,b", "/data").unwrap())
            .memory(1 << 20)
            .milli_cpus(1500)
            .network(Network::Named(rt_protocol::NetworkName::new("apps").unwrap()))
            .user("dev")
            .workdir("/tmp")
            .init(true)
            .entrypoint(["/bin/sh", "-c", "a \"b\""])
            .read_only_root(true)
            .tmpfs(Tmpfs::new("/t,mp").unwrap().with_size(4096).with_mode(0o700))
            .volume(Volume::named("data", "/var/lib").unwrap().read_only())
            .volume(Volume::anonymous("/anon").unwrap())
            .pids_limit(64)
            .cap_add("net_admin")
            .cap_drop("ALL")
            .security_option(rt_protocol::SecurityOption::no_new_privileges())
            .restart("on-failure:3".parse().unwrap())
            .health_check(HealthCheck::new(["true", "x"]).unwrap().with_interval(Duration::from_millis(1500)))
            .stop_signal(rt_protocol::Signal::USR1)
            .gpu_args(["--device", "nvidia.com/gpu=all"])
            .oci_runtime(rt_protocol::OciRuntime::new("crun").unwrap())
            .build()
            .unwrap();
        let expected = "--runtime crun create --name web --pull=missing --http-proxy=false --user=dev --workdir /tmp --env 'A=b c' --env TOKEN \
                        --label k=v --annotation run.oci.x=1 --publish 127.0.0.1::80/tcp --publish 127.0.0.1:8080:81/tcp \
                        --publish 82/tcp --mount 'type=bind,\"source=/srv/a,b\",destination=/data,readonly=true' \
                        --memory=1048576b --cpus=1.500 --network=apps --init '--entrypoint=[\"/bin/sh\",\"-c\",\"a \\\"b\\\"\"]' \
                        --read-only --read-only-tmpfs=false --mount 'type=tmpfs,\"destination=/t,mp\",notmpcopyup,tmpfs-mode=700,tmpfs-size=4096' \
                        --mount type=volume,source=data,destination=/var/lib,readonly=true --mount type=volume,destination=/anon \
                        --pids-limit=64 --cap-add=CAP_NET_ADMIN --cap-drop=ALL --security-opt=no-new-privileges --restart=on-failure:3 \
                        '--health-cmd=[\"true\",\"x\"]' --health-interval=1500ms --stop-signal=10 --device nvidia.com/gpu=all -- localhost/bb:1 sh \
                        -c exit";
        assert_eq!(words(&spec), shlex::split(expected).unwrap());
    }

    #[test]
    fn rare_settings_have_their_words_too() {
        let any_v6 = Some(std::net::Ipv6Addr::UNSPECIFIED.into());
        let check = HealthCheck::new(["a", "b"]).unwrap().with_retries(std::num::NonZeroU32::MIN);
        let spec = LaunchSpec::builder("web", "bb")
            .no_entrypoint()
            .port(PortMapping::on_loopback(8080, 80).with_host_ip(any_v6))
            .health_check(check)
            .build()
            .unwrap();
        let words = words(&spec);
        for word in ["--entrypoint=", "[::]:8080:80/tcp", "--health-retries=1"] {
            assert!(words.iter().any(|known| known == word), "{word}: {words:?}");
        }
    }

    #[test]
    fn a_list_of_annotations_is_never_made_of_one() {
        let words = |value: &str| {
            let spec = LaunchSpec::builder("web", "bb").annotation("note", value).build().unwrap();
            words(&spec).into_iter().skip_while(|word| word != "--annotation").nth(1).unwrap()
        };
        assert_eq!(words("a=b"), "note=a=b");
        assert_eq!(words("x,run.oci.keep_original_groups=1"), "\"note=x,run.oci.keep_original_groups=1\"");
        assert_eq!(words("[\"a\"]\nb"), "\"note=[\"\"a\"\"]\nb\"");
        let folded = LaunchSpec::builder("web", "bb").annotation("note", "a\r\nb").build().unwrap();
        let shell = Program::find("/bin/sh").unwrap();
        let error = create(ProcessSpec::new(&shell), &folded, &ExecMarker::fresh()).err().unwrap();
        assert_eq!(error.kind(), rt_protocol::ErrorKind::InvalidRequest);
    }

    #[test]
    fn a_health_check_of_one_word_is_quoted_for_its_shell() {
        let command = |words: &[&str]| health_command(&Argv::new(words.to_vec()).unwrap());
        assert_eq!(command(&["/bin/it's"]).unwrap(), r#"["'/bin/it'\\''s'"]"#);
        assert_eq!(command(&["a", "b c"]).unwrap(), r#"["a","b c"]"#);
        for keyword in ["CMD", "cmd-shell", "None"] {
            assert!(command(&[keyword, "x"]).is_err() && command(&[keyword]).is_err(), "{keyword}");
        }
        assert_eq!(command(&["./cmd"]).unwrap(), r#"["'./cmd'"]"#);
    }

    proptest! {
        /// Go's JSON and CSV readers get back what was given.
        #[test]
        fn words_and_paths_survive(
            argv in proptest::collection::vec("[^\\x00]{1,12}", 1..4), path in "/[^\\x00\r]{0,12}", name in "[a-z0-9]{1,8}",
        ) {
            let spec = LaunchSpec::builder("web", "localhost/bb")
                .entrypoint(argv.clone())
                .volume(Volume::named(name.clone(), path.clone()).unwrap())
                .build()
                .unwrap();
            let seen = words(&spec);
            let entrypoint = seen.iter().find_map(|word| word.strip_prefix("--entrypoint=")).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(entrypoint).unwrap(), argv);
            let mount = &seen[seen.iter().position(|word| word == "--mount").unwrap() + 1];
            let quoted = path.contains([',', '"', '\n']);
            let field = if quoted { format!("\"destination={}\"", path.replace('"', "\"\"")) } else { format!("destination={path}") };
            prop_assert_eq!(mount, &format!("type=volume,source={name},{field}"));
        }

        #[test]
        fn the_image_and_the_command_stand_behind_the_dashes(
            argv in proptest::collection::vec("[^\\x00]{1,12}|--?[a-z]{1,8}(=x)?", 1..5),
            label in "[^\\x00=]{1,8}", value in "[^\\x00]{0,12}|--?[a-z]{1,4}",
        ) {
            let spec = LaunchSpec::builder("web", "localhost/bb")
                .command(argv.clone())
                .env("PLAIN", value.clone())
                .label(label, value)
                .build()
                .unwrap();
            let words = words(&spec);
            let mut tail = vec![String::from("--"), String::from("localhost/bb")];
            tail.extend(argv);
            prop_assert!(words.ends_with(&tail), "{words:?}");
        }
    }

    #[test]
    fn the_streams_of_the_call_are_no_log() {
        let shell = Program::find("/bin/sh").unwrap();
        let answer = |words: &[&str]| {
            let spec = LaunchSpec::builder("web", "bb").extra_args(words).build().unwrap();
            create(ProcessSpec::new(&shell), &spec, &ExecMarker::fresh())
                .map(drop)
                .map_err(|error| error.kind())
        };
        for words in [
            &["--log-driver=passthrough"][..],
            &["--log-driver", "passthrough"],
            &["--label=a", "--log-driver=none", "--log-driver=passthrough-tty"],
        ] {
            assert_eq!(answer(words), Err(rt_protocol::ErrorKind::InvalidRequest), "{words:?}");
        }
        for words in [&["--log-driver=none"][..], &["--log-driver", "journald"], &["--log-driver"]] {
            assert_eq!(answer(words), Ok(()), "{words:?}");
        }
    }

    #[test]
    fn each_network_has_its_word() {
        let spec = |network: Option<Network>| {
            let builder = LaunchSpec::builder("web", "localhost/bb:1");
            let builder = network.into_iter().fold(builder, rt_protocol::LaunchSpecBuilder::network);
            words(&builder.build().unwrap()).into_iter().find(|word| word.starts_with("--network"))
        };
        assert_eq!(spec(Some(Network::None)).as_deref(), Some("--network=none"));
        assert_eq!(spec(Some(Network::Host)).as_deref(), Some("--network=host"));
        assert_eq!(spec(None), None);
    }
}
