//! From a [`LaunchSpec`] to the arguments of `podman create`: a pure function.

use std::ffi::{OsStr, OsString};

use rt_process::{ExecMarker, ProcessSpec};
use rt_protocol::{BindMount, EnvValue, InvalidValue, LaunchSpec, Network, PortMapping, Result};

use crate::cli::secret_env::{Passed, SecretEnv};
use crate::exec::argv::assignment;

/// The annotation that tells which call has made a container.
pub(crate) const MADE_BY: &str = "rt.create-id";

/// Adds `create …` for `spec` to a call of podman. The container carries `marker`, by which its maker knows it again.
///
/// Everything of the caller's stands behind an option that takes exactly one value, or behind `--`; secret values stand
/// in podman's own environment, and only their names in the argv.
pub(crate) fn create(call: ProcessSpec, spec: &LaunchSpec, marker: &ExecMarker) -> Result<Passed> {
    let mut secrets = SecretEnv::new(true);
    let call = match spec.oci_runtime() {
        // A flag of podman itself, not of its verb.
        Some(runtime) => call.args(["--runtime", runtime.as_str()]),
        None => call,
    };
    let mut call = call.args(["create", "--name"]).arg(spec.name().as_str());
    call = call.arg(format!("--pull={}", spec.pull().as_str()));
    // A proxy's address often has a password in it, and the container is not asked whether it is trusted.
    call = call.arg("--http-proxy=false");
    if let Some(user) = spec.user() {
        call = call.arg(format!("--user={user}"));
    }
    if let Some(workdir) = spec.workdir() {
        call = call.arg("--workdir").arg(workdir.as_os_str());
    }
    for (name, value) in spec.env().iter() {
        call = match value {
            EnvValue::Plain(value) => call.arg("--env").arg(assignment(name.as_str(), value)),
            EnvValue::Secret(secret) => secrets.pass(call, name, secret)?,
        };
    }
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
    call = call.args(spec.gpu_args().iter().cloned()).args(spec.extra_args().iter().cloned());
    let mut passed = secrets.finish(call);
    passed.call = passed.call.arg("--").arg(spec.image().as_str());
    if let Some(argv) = spec.command() {
        passed.call = passed.call.args(argv.words().iter().cloned());
    }
    Ok(passed)
}

/// `IP:HOST:CONTAINER/PROTOCOL`; an empty host port lets podman pick.
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

/// `--mount` takes comma-separated fields. `-v` would break on colons.
fn bind(mount: &BindMount) -> Result<OsString> {
    let field = |key: &str, path: &OsStr| {
        let text =
            path.to_str().ok_or_else(|| InvalidValue::new("mount path", path, "podman takes only UTF-8"))?;
        csv_field("mount path", format!("{key}={text}"))
    };
    let source = field("source", mount.source().as_os_str())?;
    let destination = field("destination", mount.destination().as_os_str())?;
    let access = if mount.is_read_only() { ",readonly=true" } else { "" };
    Ok(format!("type=bind,{source},{destination}{access}").into())
}

/// One field for an option that is read by Go's CSV reader: with a comma, a quotation mark or the end of a line in it, it is
/// quoted, and its quotation marks are doubled.
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
            .gpu_args(["--device", "nvidia.com/gpu=all"])
            .oci_runtime(rt_protocol::OciRuntime::new("crun").unwrap())
            .build()
            .unwrap();
        let expected = "--runtime crun create --name web --pull=missing --http-proxy=false --user=dev --workdir /tmp --env 'A=b c' --env TOKEN \
                        --label k=v --annotation run.oci.x=1 --publish 127.0.0.1::80/tcp --publish 127.0.0.1:8080:81/tcp \
                        --publish 82/tcp --mount 'type=bind,\"source=/srv/a,b\",destination=/data,readonly=true' \
                        --memory=1048576b --cpus=1.500 --network=apps --init --device nvidia.com/gpu=all -- localhost/bb:1 sh \
                        -c exit";
        assert_eq!(words(&spec), shlex::split(expected).unwrap());
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

    proptest! {
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
