//! Plain data through serde: values round-trip, invalid ones are rejected, no secret is written.

#![allow(clippy::unwrap_used, reason = "a test says by its panic what it is about")]

use std::ffi::OsString;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rt_protocol::{
    Argv, BindMount, Capabilities, Capability, Capture, CapturedOutput, ContainerInfo, ContainerName,
    ContainerRemoveResult, ContainerState, Env, Error, ErrorKind, Event, EventAction, EventOptions,
    ExecRequest, ExecResult, ExitOutcome, GpuConfigError, Health, HealthCheck, ImageInfo, ImageRemoval,
    KillOutcome, KillReport, LaunchSpec, LaunchSpecBuilder, LogLine, LogOptions, MountInfo, Network,
    NetworkName, OciRuntime, OutputLimit, OutputStream, PartialOutput, PortMapping, PublishedPort,
    PullOptions, PullPolicy, PullProgress, Readiness, RegistryCredentials, Secret, SecurityOption, Signal,
    StdioResult, StreamEnd, StreamReport, Survivor, TimeLimits, Tmpfs, TransportProtocol, Volume,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_str, from_value, json, to_string, to_value};

fn back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let text = to_string(value).unwrap();
    from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn comes_back<T: Serialize + DeserializeOwned + Debug + PartialEq>(value: T) {
    assert_eq!(back(&value), value);
}

/// Any bytes that may be a word of a command.
fn word() -> impl Strategy<Value = OsString> {
    prop_oneof![
        "\\PC{1,6}".prop_map(OsString::from),
        prop::collection::vec(1u8.., 1..6).prop_map(OsString::from_vec)
    ]
}

fn path() -> impl Strategy<Value = OsString> {
    word().prop_map(|word| [b"/", word.as_bytes()].concat()).prop_map(OsString::from_vec)
}

fn time() -> impl Strategy<Value = SystemTime> {
    (any::<bool>(), 0u64..1 << 40, 0u32..1_000_000_000).prop_map(|(before, secs, nanos)| {
        let offset = Duration::new(secs, nanos);
        if before { SystemTime::UNIX_EPOCH - offset } else { SystemTime::UNIX_EPOCH + offset }
    })
}

fn end() -> impl Strategy<Value = StreamEnd> {
    prop::sample::select(StreamEnd::ALL.to_vec())
}

fn output() -> impl Strategy<Value = CapturedOutput> {
    (prop::collection::vec(any::<u8>(), 0..12), 0usize..6, 0usize..6, end()).prop_map(
        |(bytes, head, tail, end)| {
            let mut capture = Capture::new(OutputLimit::head_and_tail(head, tail));
            capture.push(&bytes);
            capture.finish(end)
        },
    )
}

fn outcome() -> impl Strategy<Value = ExitOutcome> {
    let ends =
        [ExitOutcome::Code(-3), ExitOutcome::Code(0), ExitOutcome::Signal("KILL".into()), ExitOutcome::Lost];
    prop::sample::select(ends.to_vec())
}

fn request() -> impl Strategy<Value = ExecRequest> {
    let limit = prop_oneof![
        Just(OutputLimit::UNLIMITED),
        (any::<usize>(), any::<usize>()).prop_map(|(head, tail)| OutputLimit::head_and_tail(head, tail)),
    ];
    let env = prop::collection::vec(("[A-Z_]{1,4}", word()), 0..3);
    let parts = (prop::collection::vec(word(), 1..4), env, prop::option::of(path()), limit.clone(), limit);
    parts.prop_map(|(argv, env, workdir, stdout, stderr)| {
        let mut builder = ExecRequest::builder(argv).envs(&Env::new(env).unwrap());
        builder = builder.stdout_limit(stdout).stderr_limit(stderr).user("dev:staff");
        if let Some(workdir) = workdir {
            builder = builder.workdir(workdir);
        }
        builder.build().unwrap()
    })
}

fn with_all_settings(builder: LaunchSpecBuilder, word: &OsString) -> LaunchSpecBuilder {
    let check = HealthCheck::new([word]).unwrap().with_interval(Duration::from_millis(1500));
    builder
        .entrypoint([word])
        .read_only_root(true)
        .tmpfs(Tmpfs::new("/in memory").unwrap().with_size(1).with_mode(0))
        .volume(Volume::named("data", "/volume").unwrap().read_only())
        .pids_limit(1)
        .cap_add("chown")
        .cap_drop("ALL")
        .security_option(SecurityOption::seccomp_unconfined())
        .restart("on-failure:2".parse().unwrap())
        .health_check(check.with_retries(NonZeroU32::MIN))
        .stop_signal(Signal::HUP)
}

fn launch() -> impl Strategy<Value = LaunchSpec> {
    let network = prop::sample::select(vec![
        Network::Default,
        Network::Named(NetworkName::new("lan").unwrap()),
        "slirp4netns:mtu=9000".parse().unwrap(),
    ]);
    let parts =
        (path(), path(), word(), any::<bool>(), network, 1u16.., prop::option::of(1u16..), "\\PC{0,5}");
    parts.prop_map(|(source, inside, word, flag, network, port, host_port, label)| {
        let mount = if flag { BindMount::read_only } else { BindMount::writable };
        let mut port_mapping = PortMapping::any_port_on_loopback(port);
        if let Some(host_port) = host_port {
            port_mapping = PortMapping::on_loopback(host_port, port)
                .with_protocol(TransportProtocol::Udp)
                .with_host_ip(flag.then_some([0, 0, 0, 0, 0, 0, 0, 1].into()));
        }
        let builder = LaunchSpec::builder("web-1", "alpine");
        let builder = if flag { with_all_settings(builder, &word) } else { builder.no_entrypoint() };
        builder
            .command([&word])
            .env("WORD", &word)
            .port(port_mapping)
            .mount(mount(source, inside.clone()).unwrap())
            .workdir(inside)
            .user("0")
            .label("key", label)
            .annotation("a", "b")
            .memory(1)
            .milli_cpus(2)
            .network(network)
            .gpu_args([&word])
            .extra_args([&word])
            .oci_runtime(OciRuntime::new("/bin/crun").unwrap())
            .init(flag)
            .pull(PullPolicy::Newer)
            .build()
            .unwrap()
    })
}

proptest! {
    #[test]
    fn requests_come_back(request in request(), spec in launch()) {
        comes_back(request);
        comes_back(spec);
    }

    #[test]
    fn results_come_back(
        outcome in outcome(), stdout in output(), stderr in output(), bytes: u64, end in end(), nanos: u64,
    ) {
        let elapsed = Duration::from_nanos(nanos);
        let result = ExecResult::new(outcome.clone(), stdout, stderr, elapsed);
        let report = StreamReport::new(bytes, end);
        let bridged = StdioResult::new(outcome, report, report, report, elapsed);
        prop_assert_eq!((back(&result).elapsed, back(&bridged).elapsed), (elapsed, elapsed));
        comes_back(result);
        comes_back(bridged);
    }

    #[test]
    fn any_time_comes_back(time in time(), line: Vec<u8>) {
        let mut written = LogLine::new(OutputStream::Stderr, line);
        written.timestamp = Some(time);
        written.omitted = 7;
        comes_back(written);
        comes_back(Event::new(ContainerName::new("a").unwrap(), EventAction::Died, time));
        comes_back(EventOptions::new().since(time));
        comes_back(LogOptions::new().since(time).tail(3).follow());
    }

    /// A request with one changed value is rejected, or could have been built.
    #[test]
    fn nothing_hostile_is_read(spec in launch(), request in request(), place: prop::sample::Index, value in hostile()) {
        let mut json = to_value(&spec).unwrap();
        replace(&mut json, place, value.clone());
        if let Ok(read) = from_value::<LaunchSpec>(json) {
            read.to_builder().build().unwrap();
            ContainerName::of_existing(read.name().as_str()).unwrap();
            read.image().as_str().parse::<rt_protocol::ImageRef>().unwrap();
            could_be_built(read.command(), read.env(), read.workdir());
            for mount in read.mounts() {
                BindMount::writable(mount.source(), mount.destination().as_path()).unwrap();
            }
        }
        let mut json = to_value(&request).unwrap();
        replace(&mut json, place, value);
        if let Ok(read) = from_value::<ExecRequest>(json) {
            could_be_built(Some(read.argv()), read.env(), read.workdir());
        }
    }

    #[test]
    fn no_output_is_longer_than_it_says(head: u8, omitted: u64, tail in "[a-z]{0,4}", other in hostile()) {
        let heads = [json!("x".repeat(head.into())), json!({ "hex": "ff00" }), other];
        for head in heads {
            let json = json!({ "head": head, "omitted": omitted, "tail": tail, "end": "eof" });
            if let Ok(read) = from_value::<CapturedOutput>(json) {
                prop_assert!(read.total() >= read.as_bytes().len() as u64);
                prop_assert_eq!([read.head(), read.tail()].concat(), read.as_bytes());
                comes_back(read);
            }
        }
    }
}

fn could_be_built(argv: Option<&Argv>, env: &Env, workdir: Option<&rt_protocol::ContainerPath>) {
    if let Some(argv) = argv {
        Argv::new(argv).unwrap();
    }
    Env::new(env.iter().map(|(name, value)| (name.as_str(), value.clone()))).unwrap();
    if let Some(workdir) = workdir {
        rt_protocol::ContainerPath::new(workdir.as_path()).unwrap();
    }
}

fn hostile() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(""),
        json!("-x"),
        json!("a\0b"),
        json!("/a\0b"),
        json!("../x"),
        json!({ "hex": "2f00" }),
        json!({ "hex": "zz" }),
        json!({ "hex": "2f", "text": "/" }),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!([]),
        json!([""]),
        json!(["\0"]),
        json!([["A=B", "C"]]),
        json!({ "=": "", "a": "\0" }),
        json!([{ "name": "1A", "value": "x" }]),
        json!([{ "name": "A", "value": { "hex": "00" } }]),
        json!("host"),
        json!("none"),
        json!({ "named": "host" }),
    ])
}

/// Puts a value in the place of one of those in `json`, at any depth.
fn replace(json: &mut Value, place: prop::sample::Index, value: Value) {
    fn places(json: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match json {
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(number, item)| places(item, &format!("{at}/{number}"), found));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| places(field, &format!("{at}/{name}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    places(json, "", &mut found);
    *json.pointer_mut(&found[place.index(found.len())]).unwrap() = value;
}

#[test]
fn facts_come_back() {
    let name = ContainerName::new("a").unwrap();
    let mut info =
        ContainerInfo::new(name.clone(), "1d".parse().unwrap(), ContainerState::Other("odd".into()));
    comes_back(info.clone());
    info.created = Some(SystemTime::UNIX_EPOCH);
    info.exit_code = Some(-1);
    info.health = Some(Health::Unhealthy);
    info.mounts = vec![
        MountInfo::new(None, "/a"),
        MountInfo::new(Some("/b".into()), OsString::from_vec(vec![47, 255])),
    ];
    info.ports = vec![PublishedPort::new(80, TransportProtocol::Sctp, Some([127, 0, 0, 1].into()), 8080)];
    info.labels.insert("key".into(), "value".into());
    comes_back(vec![info]);
    comes_back(ImageInfo::new("sha256:0".parse().unwrap()));
    comes_back([ImageRemoval::Removed, ImageRemoval::Refused("used".into())]);
    comes_back([Readiness::Ready("x".into()), Readiness::TimedOut, Readiness::Ended]);
    comes_back(TimeLimits::DEFAULT);
    comes_back(Capabilities::all());
    let mut removed = ContainerRemoveResult::removed(name.clone());
    assert!(back(&removed).removed);
    removed = ContainerRemoveResult::failed(name, Error::new(ErrorKind::System, "remove", "no"));
    assert_eq!(back(&removed).error.unwrap().to_string(), removed.error.unwrap().to_string());
}

/// All that can be seen of an error.
fn seen(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    let parts = (error.kind(), error.operation(), error.subject(), error.hint(), error.missing());
    let rest = (error.kill_report(), error.partial(), error.gpu_config(), error.outcome(), causes);
    format!("{error} {parts:?} {rest:?} {}", error.never_started())
}

#[test]
fn errors_come_back() {
    let report = |outcome| KillReport::new(outcome, 2, vec![Survivor::new(7, "sh\n")], Duration::new(3, 4));
    let streams = StreamReport::new(3, StreamEnd::Stopped);
    let (stdout, stderr) = (CapturedOutput::complete("a"), CapturedOutput::default());
    let mut errors: Vec<Error> =
        ErrorKind::ALL.iter().map(|kind| Error::new(*kind, "test", "because")).collect();
    errors.extend([
        Error::unsupported("exec in", [Capability::ExecEnv, Capability::Logs].into_iter().collect()),
        Error::new(ErrorKind::TimedOut, "exec in", "")
            .with_subject("x")
            .with_hint("more")
            .with_kill_report(report(KillOutcome::Gone)),
        ExitOutcome::Signal("KILL".into()).exit_ok().unwrap_err(),
        Error::new(ErrorKind::Cancelled, String::from("odd verb"), "")
            .with_kill_report(report(KillOutcome::Unknown("why".into())))
            .with_partial(PartialOutput::Output { stdout, stderr }),
        Error::new(ErrorKind::SinkFailed, "exec in", "stdout")
            .with_kill_report(report(KillOutcome::Alive))
            .with_partial(PartialOutput::Streams { stdin: streams, stdout: streams, stderr: streams })
            .with_source(std::io::Error::other(Error::new(ErrorKind::System, "write", "disk full"))),
        Error::from(GpuConfigError::new("no nvidia\nat all\n", "install it")).with_subject("container `x`"),
    ]);
    for error in errors {
        assert_eq!(seen(&back(&error)), seen(&error));
    }
    let later = json!({ "kind": "sunspots", "operation": "start", "message": "hot" });
    assert_eq!(from_value::<Error>(later).unwrap().to_string(), "start: the engine failed: hot");
}

#[test]
fn a_secret_is_named_and_not_written() {
    let request =
        ExecRequest::builder(["deploy"]).secret_env("TOKEN", Secret::new("hunter2")).build().unwrap();
    let text = to_string(&request).unwrap();
    assert!(text.contains("TOKEN") && !text.contains("hunter2"), "{text}");
    let refused = from_str::<ExecRequest>(&text).unwrap_err().to_string();
    assert!(refused.contains("TOKEN") && refused.contains("set it again"), "{refused}");
}

#[test]
fn the_password_of_a_registry_is_not_written() {
    let credentials = RegistryCredentials::new("ci", "hunter2").unwrap();
    let text = to_string(&PullOptions::new().credentials(credentials)).unwrap();
    assert!(text.contains("ci") && !text.contains("hunter2"), "{text}");
    let refused = from_str::<PullOptions>(&text).unwrap_err().to_string();
    assert!(refused.contains("ci") && refused.contains("set it again"), "{refused}");
    let options = PullOptions::new().auth_file("/run/auth.json").insecure();
    assert_eq!(back(&options), options);
    let step = PullProgress::Layer { digest: String::from("sha256:aa") };
    assert_eq!(to_value(&step).unwrap(), json!({ "layer": { "digest": "sha256:aa" } }));
    assert_eq!(back(&step), step);
}

/// This is ambiguous, and does not compile, once a secret is `Serialize` or `Deserialize`.
#[test]
fn a_secret_is_no_plain_data() {
    trait Neither<Marker> {
        fn is_neither() {}
    }
    impl<T> Neither<()> for T {}
    impl<T: Serialize> Neither<u8> for T {}
    impl<T: DeserializeOwned> Neither<u16> for T {}
    <Secret as Neither<_>>::is_neither();
}

#[test]
fn a_field_that_a_request_does_not_know_is_refused() {
    let request = to_value(ExecRequest::new(["true"]).unwrap()).unwrap();
    for (field, good) in [("user", true), ("users", false)] {
        let mut json = request.clone();
        json[field] = "root".into();
        assert_eq!(from_value::<ExecRequest>(json).is_ok(), good, "{field}");
    }
    assert_eq!(from_value::<LogOptions>(json!({ "tail": 3 })).unwrap(), LogOptions::new().tail(3));
    assert!(from_value::<LogOptions>(json!({ "tails": 3 })).is_err());
}

#[test]
fn requests_are_read_as_people_write_them() {
    let spec = json!({ "name": "web", "image": "nginx", "network": "host", "pull": "always", "memory": 1 });
    let built = LaunchSpec::builder("web", "nginx").network(Network::Host).pull(PullPolicy::Always).memory(1);
    assert_eq!(from_value::<LaunchSpec>(spec).unwrap(), built.build().unwrap());
    let refused =
        json!({ "name": "web", "image": "nginx", "network": "host", "ports": [{ "container_port": 80 }] });
    assert!(from_value::<LaunchSpec>(refused).unwrap_err().to_string().contains("publishes none"));
}
