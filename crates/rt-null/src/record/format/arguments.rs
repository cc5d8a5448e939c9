//! The arguments of calls as JSON. They are written and compared, and never read back.

use std::collections::BTreeMap;
use std::path::Path;

use rt_protocol::{
    BindMount, ContainerFilter, ContainerPath, CopyOptions, Env, EnvValue, EventOptions, ExecRequest,
    ExecStdio, LaunchSpec, LogOptions, Network, OutputLimit, OutputStream, PortMapping, User,
};
use serde_json::Value;

use super::json::{self, JsonCodec, object, word};

/// What a test can hardly repeat: paths of the host, and points in time. They are written for the reader and are not
/// compared.
pub(crate) const NOT_COMPARED: &[&str] = &["host", "time"];

pub(crate) fn exec_request(request: &ExecRequest, bridged: Value) -> Value {
    object([
        ("argv", words(request.argv())),
        ("env", env(request.env())),
        ("workdir", request.workdir().map_or(Value::Null, |path| json::os(path.as_os_str()))),
        ("user", request.user().map_or(Value::Null, |user: &User| user.as_str().into())),
        ("stdout-limit", limit(request.stdout_limit())),
        ("stderr-limit", limit(request.stderr_limit())),
        ("bridged", bridged),
    ])
}

/// Which streams are the caller's; the others are empty or dropped.
pub(crate) fn bridged(stdio: &ExecStdio<'_>) -> Value {
    let streams = [
        ("stdin", !stdio.stdin.is_empty()),
        ("stdout", !stdio.stdout.is_discard()),
        ("stderr", !stdio.stderr.is_discard()),
    ];
    streams.into_iter().filter(|(_, given)| *given).map(|(name, _)| Value::from(name)).collect()
}

pub(crate) fn launch_spec(spec: &LaunchSpec) -> Value {
    object([
        ("image", spec.image().as_str().into()),
        ("command", spec.command().map_or(Value::Null, words)),
        ("env", env(spec.env())),
        ("ports", list(spec.ports(), port)),
        ("mounts", list(spec.mounts(), mount)),
        ("user", spec.user().map_or(Value::Null, |user| user.as_str().into())),
        ("workdir", spec.workdir().map_or(Value::Null, |path| json::os(path.as_os_str()))),
        ("labels", pairs(spec.labels())),
        ("annotations", pairs(spec.annotations())),
        ("memory", spec.memory().encode()),
        ("milli-cpus", spec.milli_cpus().map(u64::from).encode()),
        ("network", network(spec.network())),
        ("gpu-args", list(spec.gpu_args(), |word| json::os(word))),
        ("oci-runtime", spec.oci_runtime().map_or(Value::Null, |runtime| runtime.as_str().into())),
        ("init", flag(spec.init())),
        ("pull", spec.pull().as_str().into()),
        ("extra-args", list(spec.extra_args(), |word| json::os(word))),
    ])
}

pub(crate) fn copy(host: Option<&Path>, inside: &ContainerPath, options: CopyOptions) -> Value {
    object([
        ("host", host.map_or(Value::Null, json::os)),
        ("path", json::os(inside.as_os_str())),
        ("create-parents", flag(options.create_parents)),
    ])
}

pub(crate) fn log_options(options: &LogOptions) -> Value {
    let whole = options.max_line_bytes == LogOptions::DEFAULT_MAX_LINE_BYTES;
    object([
        ("follow", flag(options.follow)),
        ("tail", options.tail.encode()),
        ("since", options.since.map_or(Value::Null, |since| object([("time", since.encode())]))),
        ("timestamps", flag(options.timestamps)),
        ("stream", options.stream.map_or(Value::Null, |stream| stream_word(stream).into())),
        ("max-line-bytes", if whole { Value::Null } else { options.max_line_bytes.into() }),
    ])
}

fn stream_word(stream: OutputStream) -> &'static str {
    match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    }
}

pub(crate) fn event_options(options: &EventOptions) -> Value {
    object([
        ("prefix", options.prefix.as_ref().map_or(Value::Null, |prefix| prefix.as_str().into())),
        ("since", options.since.map_or(Value::Null, |since| object([("time", since.encode())]))),
    ])
}

pub(crate) fn container_filter(filter: &ContainerFilter) -> Value {
    object([("prefix", filter.prefix.as_ref().map_or(Value::Null, |prefix| prefix.as_str().into()))])
}

fn words(argv: &rt_protocol::Argv) -> Value {
    argv.words().iter().map(json::os).collect()
}

/// Names and values, but of a secret the name alone.
fn env(env: &Env) -> Value {
    let variables = env.iter().map(|(name, value)| match value {
        EnvValue::Plain(value) => object([("name", name.as_str().into()), ("value", json::os(value))]),
        EnvValue::Secret(_) => object([("name", name.as_str().into()), ("secret", true.into())]),
    });
    if env.is_empty() { Value::Null } else { variables.collect() }
}

fn limit(limit: OutputLimit) -> Value {
    if limit.is_unlimited() { Value::Null } else { vec![limit.head(), limit.tail()].into() }
}

fn port(port: &PortMapping) -> Value {
    object([
        ("container-port", port.container_port().into()),
        ("protocol", word(port.protocol())),
        ("address", port.host_ip().map_or(Value::Null, |address| address.to_string().into())),
        ("host-port", port.host_port().map_or(Value::Null, Value::from)),
    ])
}

fn mount(mount: &BindMount) -> Value {
    object([
        ("host", json::os(mount.source())),
        ("path", json::os(mount.destination().as_os_str())),
        ("read-only", flag(mount.is_read_only())),
    ])
}

fn network(network: &Network) -> Value {
    match network {
        Network::Default => Value::Null,
        Network::Named(name) => object([("named", name.as_str().into())]),
        other => word(other),
    }
}

fn pairs(pairs: &BTreeMap<String, String>) -> Value {
    if pairs.is_empty() { Value::Null } else { pairs.encode() }
}

fn list<T>(items: &[T], encode: impl Fn(&T) -> Value) -> Value {
    if items.is_empty() { Value::Null } else { items.iter().map(encode).collect() }
}

/// A flag that is not set is left out.
fn flag(set: bool) -> Value {
    if set { true.into() } else { Value::Null }
}
