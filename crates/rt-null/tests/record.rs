//! Facts about recordings and their replays. Bridged commands stand in `record_streams`, random sequences in
//! `record_sequences`.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::fmt::Debug;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use rt_null::record::{FORMAT_VERSION, Recorder, Replay};
use rt_null::{ArgvPattern, ExecReply, ImageFixture, LogScript, NullRuntime, Scope};
use rt_protocol::{
    Argv, Capabilities, Capability, ContainerFilter, ContainerName, ContainerPath, ContainerRuntime,
    ContainerRuntimeExt, ContainerState, CopyOptions, ErrorKind, EventOptions, ExecRequest, ExecStdio,
    Health, ImageFilter, ImageRef, LaunchSpec, LogOptions, MountPoint, NamePrefix, OutputLimit, Protocol,
    PublishedPort, Pull, Result, Secret, Until,
};

/// A writer whose bytes the test can read.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn replay(&self) -> Replay {
        Replay::read(&self.bytes()[..]).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn recorded(runtime: &NullRuntime) -> (Recorder, Paper) {
    let paper = Paper::default();
    (Recorder::new(Arc::new(runtime.clone()), paper.clone()), paper)
}

/// All that can be seen of an answer.
fn seen<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let rest = (error.kind(), error.missing(), error.kill_report(), error.partial(), cause);
            format!("{error} {rest:?}")
        }
    }
}

fn name(text: &str) -> ContainerName {
    ContainerName::new(text).unwrap()
}

fn path(text: &str) -> ContainerPath {
    ContainerPath::new(text).unwrap()
}

fn scripted() -> NullRuntime {
    let runtime = NullRuntime::new();
    runtime.clock().skip_waits(true);
    runtime.add_image(
        ImageFixture::new("alpine:3").unwrap().size(7).label("os", "linux").history(["RUN a", "FROM b"]),
    );
    runtime.set_logs("p-a", LogScript::new().line("one").error_line(vec![0xff]).line("ready")).unwrap();
    runtime.set_state("p-b", ContainerState::Paused).unwrap();
    runtime.set_health("p-b", Health::Unhealthy).unwrap();
    runtime.set_mounts("p-b", [MountPoint::new(Some("/host".into()), "/inside")]).unwrap();
    runtime.set_ports("p-b", [PublishedPort::new(80, Protocol::Udp, None, 8080)]).unwrap();
    runtime.set_rw_size("p-b", 12).unwrap();
    runtime.set_label("p-b", "k", "v").unwrap();
    let all = Scope::all;
    runtime.on_exec(all(), ArgvPattern::program("odd"), |_| {
        ExecReply::code(3).with_stdout([0xff, 0]).with_stderr("no")
    });
    runtime.on_exec(all(), ArgvPattern::program("hang"), |_| ExecReply::hang().with_stdout("partly"));
    runtime.on_exec(all(), ArgvPattern::program("much"), |_| ExecReply::stdout(vec![b'x'; 3 << 20]));
    runtime.on_exec(all(), ArgvPattern::program("none"), |_| {
        ExecReply::error(ErrorKind::CommandNotFound, "none")
    });
    runtime
}

/// Every method of the contract, with answers of every kind. What it sees of each.
#[expect(clippy::too_many_lines, reason = "a table")]
fn everything(runtime: &dyn ContainerRuntime, home: &Path) -> Vec<(&'static str, String)> {
    let forever = Until::forever();
    let mut table = Vec::new();
    macro_rules! see {
        ($op:literal, $answer:expr) => {
            table.push(($op, seen($answer)))
        };
    }
    let mut events = runtime.events(&EventOptions::new().since(SystemTime::UNIX_EPOCH)).unwrap();
    let spec =
        LaunchSpec::builder("p-a", "alpine:3").label("a", "b").env("X", "y").memory(5).build().unwrap();
    see!("create", runtime.create(&spec, &forever).map(|made| made.key().clone()));
    see!("create", runtime.create(&spec, &forever).map(|made| made.key().clone()));
    let (a, b, absent) =
        (runtime.container(&name("p-a")), runtime.container(&name("p-b")), runtime.container(&name("no")));
    see!("start", a.start(&forever));
    see!("start", absent.start(&forever));
    for container in [&a, &b, &absent] {
        see!("inspect", container.inspect());
        see!("id", container.id());
        see!("state", container.state());
        see!("running", container.running());
        see!("image", container.image().map(|image| image.map(|image| image.reference().clone())));
        see!("started-at", container.started_at());
        see!("mounts", container.mounts());
        see!("ports", container.ports());
        see!("health", container.health());
        see!("rw-size", container.rw_size());
    }
    for words in [&["true"][..], &["odd"], &["hang"], &["much"], &["none"]] {
        let limited = ExecRequest::builder(words.iter().copied()).workdir("/w").user("root").env("A", "b");
        let request = limited.output_limit(OutputLimit::bytes(1000)).build().unwrap();
        see!("exec", a.exec(&request, &Until::after(Duration::from_secs(5))));
        see!(
            "exec",
            runtime.exec(
                &name("p-a"),
                &ExecRequest::new(words.iter().copied()).unwrap(),
                &Until::after(Duration::ZERO)
            )
        );
        see!(
            "exec-stdio",
            a.exec_stdio(&request, ExecStdio::default(), &Until::after(Duration::from_secs(5)))
        );
        see!("exec-stdio", runtime.exec_stdio(&name("p-b"), &request, ExecStdio::default(), &forever));
    }
    see!("list", runtime.list(&ContainerFilter::all()));
    let prefix = NamePrefix::new("p").unwrap();
    see!("list", runtime.list(&ContainerFilter::prefix(prefix.clone())));
    see!("states", runtime.states(&prefix));
    see!("rw-sizes", runtime.rw_sizes(&prefix));
    let family = runtime.containers_with_prefix(&prefix);
    see!(
        "containers-with-prefix",
        family.map(|all| all.iter().map(|one| one.state().unwrap()).collect::<Vec<_>>())
    );

    fs::write(home.join("file"), [1, 2, 0xff]).unwrap();
    let options = CopyOptions::new().create_parents();
    see!("copy-in", a.copy_in(&home.join("file"), &path("/in/file"), &options, &forever));
    see!("copy-in", absent.copy_in(&home.join("file"), &path("/in"), &options, &forever));
    see!("copy-out", a.copy_out(&path("/in"), &home.join("out/deep"), &options, &forever));
    see!("copy-out", fs::read(home.join("out/deep/file")).map_err(|_| unreachable!()));
    see!("copy-in-tar", a.copy_in_tar(&mut &b"tar"[..], &path("/t"), &forever));
    see!("copy-out-tar", a.copy_out_tar(&path("/t"), &mut Vec::new(), &forever));
    see!("login-command", a.login_command(Some(&Argv::new(["bash", "-l"]).unwrap())));
    see!("login-command", a.login_command(None));

    let mut echo = Vec::new();
    see!("stream-initial-logs", a.stream_initial_logs(&mut |line| line == "ready", &mut echo, &forever));
    see!(
        "stream-initial-logs",
        a.stream_initial_logs(&mut |_| false, &mut echo, &Until::after(Duration::from_millis(5)))
    );
    see!("stream-initial-logs", absent.stream_initial_logs(&mut |_| true, &mut echo, &forever));
    see!("stream-initial-logs", Ok(echo));
    let mut log = a.logs(&LogOptions::new().timestamps().tail(2)).unwrap();
    for _ in 0..3 {
        see!("pull", log.pull(&forever));
    }
    see!("close", log.close());
    see!("pull", log.pull(&forever));
    let mut log = a.logs(&LogOptions::new().follow()).unwrap();
    for _ in 0..5 {
        see!("pull", log.pull(&Until::after(Duration::from_millis(5))));
    }
    see!("logs", absent.logs(&LogOptions::new()).map(drop));

    see!("wait", a.wait(&Until::after(Duration::from_millis(5))));
    see!("stop", a.stop(Duration::from_secs(3), &forever));
    see!("stop", absent.stop(Duration::from_secs(3), &forever));
    see!("wait", a.wait(&forever));
    let alpine = runtime.image(&ImageRef::new("alpine:3").unwrap());
    let unknown = runtime.image(&ImageRef::new("unknown").unwrap());
    for image in [&alpine, &unknown] {
        see!("inspect", image.inspect());
        see!("id", image.id());
        see!("exists", image.exists());
        see!("labels", image.labels());
        see!("history", image.history());
        see!("remove", image.remove());
    }
    for filter in [ImageFilter::all(), ImageFilter::dangling()] {
        let facts = |images: Vec<Arc<dyn rt_protocol::Image>>| {
            let facts = images.iter().map(|image| {
                let listed = (image.repository(), image.tag(), image.size(), image.created());
                format!("{} {listed:?} {:?}", image.reference(), image.exists())
            });
            facts.collect::<Vec<_>>()
        };
        see!("images", runtime.images(&filter).map(facts));
    }
    let held = runtime.reserve_port(IpAddr::V4(Ipv4Addr::LOCALHOST));
    see!("reserve-port", held.as_ref().map(|held| (held.address(), held.port())).map_err(Clone::clone));
    see!("close", held.unwrap().close());
    see!("reserve-port", runtime.reserve_port("192.0.2.1".parse().unwrap()).map(drop));
    let removed = runtime.force_remove(&[name("p-a"), name("no")], &forever);
    see!("force-remove", Ok(removed));
    loop {
        match events.pull(&Until::after(Duration::from_millis(5))).unwrap() {
            Pull::Item(event) => see!("pull", Ok(event)),
            other => break see!("pull", Ok(other)),
        }
    }
    see!("close", events.close());
    table
}

#[test]
fn every_method_comes_back() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (recorder, paper) = recorded(&scripted());
    let before = everything(&recorder, homes[0].path());
    let calls = recorder.finish().unwrap();
    let replay = paper.replay();
    replay.clock().skip_waits(true);
    let after = everything(&replay, homes[1].path());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
    replay.finish().unwrap();
    assert_eq!(paper.text().lines().count() as u64, calls + 1);
    // The table has no row too few.
    for (op, _) in &before {
        assert!(paper.text().contains(&format!(r#""op":"{op}""#)), "{op}");
    }
    assert!(paper.text().lines().nth(1).unwrap().starts_with(r#"{"seq":1,"op":"events","#));
    assert_eq!(replay.id(), recorder.id());
    assert_eq!(replay.capabilities(), recorder.capabilities());
}

#[test]
fn a_lesser_runtime_is_replayed_as_one() {
    let lesser = NullRuntime::with_capabilities(Capabilities::none().with(Capability::Logs));
    let (recorder, paper) = recorded(&lesser);
    let ask = |runtime: &dyn ContainerRuntime| seen(runtime.list(&ContainerFilter::all()));
    let before = ask(&recorder);
    let replay = paper.replay();
    assert_eq!(ask(&replay), before);
    assert!(before.contains("lacks list"), "{before}");
    assert_eq!(replay.capabilities(), lesser.capabilities());
}

#[test]
fn no_secret_is_written_in_any_spelling_and_another_value_replays() {
    const TOKEN: &str = "hunter2-\u{e9}\"x";
    const KEY: &str = "-----BEGIN\nMIIabcdef\n-----END\n";
    let program = |runtime: &dyn ContainerRuntime, token: &str, key: &str| -> Result<String> {
        let forever = Until::forever();
        let spec =
            LaunchSpec::builder("job", "alpine").secret_env("KEY", key).label("note", format!("has {key}"));
        let job = runtime.launch(&spec.build()?, &forever)?;
        let request = ExecRequest::builder(["login", &format!("--token={token}")])
            .secret_env("TOKEN", token)
            .env("COPY", format!("<{token}>"))
            .output_limit(OutputLimit::bytes(24));
        let mut all = seen(job.exec(&request.clone().build()?, &forever).map(|result| result.stderr));
        let quiet = request.output_limit(OutputLimit::UNLIMITED).build()?;
        all += &seen(job.exec(&quiet, &forever).map(|result| (result.stdout, result.stderr)));
        let mut log = job.logs(&LogOptions::new())?;
        while let Pull::Item(line) = log.pull(&forever)? {
            all += &line.text();
        }
        all += &seen(job.exec(&ExecRequest::new(["fail"])?, &forever));
        Ok(all)
    };

    let runtime = NullRuntime::new();
    runtime.set_logs("job", format!("{KEY}also {TOKEN}").lines().map(str::to_owned).collect()).unwrap();
    runtime.on_exec(Scope::all(), ArgvPattern::program("login"), |call| {
        let token = call.env().get("TOKEN").unwrap().expose().to_str().unwrap().to_owned();
        let mut bytes = vec![0xff];
        bytes.extend_from_slice(token.as_bytes());
        ExecReply::stdout(format!("{token} and {KEY}")).with_stderr(bytes)
    });
    runtime.on_exec(Scope::all(), ArgvPattern::program("fail"), |_| {
        ExecReply::error(ErrorKind::BadWorkdir, format!("refused {TOKEN}"))
    });
    let (recorder, paper) = recorded(&runtime);
    // It is known late to the log, but before the log is read.
    let before = program(&recorder, TOKEN, KEY).unwrap();
    recorder.finish().unwrap();
    assert!(before.contains("hunter2"));

    let file = paper.bytes();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let json = serde_json::to_string(TOKEN).unwrap();
    for secret in [
        TOKEN,
        "hunter2",
        "nter2",
        json.trim_matches('"'),
        "MIIabcdef",
        "-----BEGIN",
        "-----END",
        &hex("hunter2"),
        &hex(KEY),
    ] {
        assert!(
            !file.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret}\n{}",
            paper.text()
        );
    }

    assert_eq!(program(&paper.replay(), TOKEN, KEY).unwrap(), before);
    let other = program(&paper.replay(), "other", KEY).unwrap();
    assert!(other.contains("other and") && !other.contains("hunter2"), "{other}");
    // A name that is missing is another request.
    let error = runtime_without_token(&paper.replay()).unwrap_err();
    assert!(error.message().contains("expected next") && !error.message().contains("hunter2"), "{error}");
}

fn runtime_without_token(replay: &Replay) -> Result<()> {
    let request =
        ExecRequest::builder(["login", "--token=hunter2"]).secret_env("OTHER", "hunter2").build()?;
    replay.exec(&name("job"), &request, &Until::forever()).map(drop)
}

#[test]
fn a_secret_that_is_no_variable_can_be_named() {
    let runtime = scripted();
    runtime.set_state("job", ContainerState::Running).unwrap();
    runtime.set_exec("job", ["show"], ExecReply::stdout("it is hunter2")).unwrap();
    let (recorder, paper) = recorded(&runtime);
    recorder.secret("PASSWORD", &Secret::new("hunter2"));
    recorder.exec_in("job", ["show"]).unwrap();
    assert!(!paper.text().contains("hunter2"));
    assert_eq!(paper.replay().exec_in("job", ["show"]).unwrap().stdout, "it is <secret PASSWORD>");
    let replay = paper.replay();
    replay.secret("PASSWORD", &Secret::new("x"));
    assert_eq!(replay.exec_in("job", ["show"]).unwrap().stdout, "it is x");
}

#[test]
fn what_was_not_recorded_says_what_was_expected() {
    let runtime = scripted();
    runtime.set_state("job", ContainerState::Running).unwrap();
    let (recorder, paper) = recorded(&runtime);
    recorder.exec_in("job", ["make", "test"]).unwrap();
    recorder.container(&name("job")).state().unwrap();
    recorder.finish().unwrap();

    let replay = paper.replay();
    let message = |words: &[&str]| {
        let error = replay.exec_in("job", words).unwrap_err();
        assert_eq!((error.kind(), error.subject()), (ErrorKind::BackendFailed, Some("container `job`")));
        assert!(!error.never_started());
        error.message().to_owned()
    };
    let other = message(&["make", "\n"]);
    assert!(other.contains(r#"asked for exec {"argv":["make","\n"]}, which is not recorded"#), "{other}");
    assert!(other.contains(r#"expected next: exec {"argv":["make","test"]} (line 2)"#), "{other}");
    assert!(message(&["make", &"x".repeat(1000)]).len() < 600);
    replay.exec_in("job", ["make", "test"]).unwrap();
    let again = message(&["make", "test"]);
    assert!(again.contains("again, which is recorded once; expected next: state (line 3)"), "{again}");
    let nobody = replay.container(&name("nobody")).start(&Until::forever()).unwrap_err();
    assert!(nobody.message().ends_with("nothing more is recorded of container `nobody`"), "{nobody}");

    assert_eq!(replay.mismatches().len(), 4);
    assert_eq!(replay.unused(), ["line 3: container `job`: state"]);
    let error = replay.finish().unwrap_err().to_string();
    assert!(
        error.contains("asked and not recorded: 4") && error.contains("recorded and not asked: 1"),
        "{error}"
    );
    replay.container(&name("job")).state().unwrap();
    assert!(replay.unused().is_empty());
}

#[test]
fn alike_calls_are_answered_in_recorded_order() {
    let runtime = NullRuntime::new();
    let (recorder, paper) = recorded(&runtime);
    let job = recorder.container(&name("job"));
    for state in [ContainerState::Created, ContainerState::Running, ContainerState::Exited] {
        runtime.set_state("job", state).unwrap();
        job.state().unwrap();
        job.rw_size().unwrap();
    }
    let replay = paper.replay();
    let job = replay.container(&name("job"));
    // What is asked in between, or not asked, does not matter.
    job.rw_size().unwrap();
    let states = [(); 3].map(|()| job.state().unwrap().unwrap());
    assert_eq!(states, [ContainerState::Created, ContainerState::Running, ContainerState::Exited]);
    assert_eq!(replay.unused().len(), 2);
}

#[test]
fn sixteen_threads_record_and_replay() {
    let life = |runtime: &dyn ContainerRuntime, thread: usize| -> Vec<String> {
        let own = format!("job-{thread}");
        let spec = LaunchSpec::builder(&own, "alpine").secret_env("TOKEN", format!("token-{thread}"));
        let mut seen_all = Vec::new();
        runtime.launch(&spec.build().unwrap(), &Until::forever()).unwrap();
        for round in 0..20 {
            seen_all.push(seen(runtime.exec_in(&own, ["echo", &format!("{thread}.{round}")])));
            seen_all.push(seen(runtime.exec_in(&own, ["count"])));
        }
        seen_all
    };
    let runtime = NullRuntime::new();
    runtime.on_exec(Scope::all(), ArgvPattern::program("echo"), |call| {
        ExecReply::stdout(call.argv().arguments()[0].to_str().unwrap())
    });
    let counts = Arc::new(Mutex::new(std::collections::BTreeMap::<ContainerName, u32>::new()));
    runtime.on_exec(Scope::all(), ArgvPattern::program("count"), move |call| {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(call.name.clone()).or_default();
        *count += 1;
        ExecReply::stdout(count.to_string())
    });
    let run = |runtime: &(dyn ContainerRuntime + Sync)| -> Vec<Vec<String>> {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|thread| scope.spawn(move || life(runtime, thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let (recorder, paper) = recorded(&runtime);
    let before = run(&recorder);
    assert_eq!(recorder.finish().unwrap(), 16 * 42);
    let replay = paper.replay();
    assert_eq!(run(&replay), before);
    replay.finish().unwrap();
}

#[test]
fn a_file_is_for_its_owner_and_an_old_one_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("r.jsonl");
    fs::write(&file, "old\n".repeat(1000)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let recorder = Recorder::create(Arc::new(NullRuntime::new()), &file).unwrap();
    recorder.list(&ContainerFilter::all()).unwrap();
    recorder.finish().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Replay::open(&file).unwrap().list(&ContainerFilter::all()).unwrap().is_empty());
    let error = Recorder::create(Arc::new(NullRuntime::new()), home.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::System);
    let error = Replay::open(home.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("none") && error.kind() == ErrorKind::System, "{error}");
}

#[test]
fn a_recording_that_cannot_be_written_breaks_no_call() {
    struct Full(usize, bool);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(1) {
                Some(left) => self.0 = left,
                None if self.1 => panic!("full"),
                None => return Err(io::Error::other("disk full")),
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (lines, panics) in [(0, false), (2, false), (2, true)] {
        let recorder = Recorder::new(Arc::new(NullRuntime::new()), Full(lines, panics));
        for _ in 0..4 {
            recorder.list(&ContainerFilter::all()).unwrap();
        }
        for _ in 0..2 {
            let error = recorder.finish().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::System);
            assert!(std::error::Error::source(&error).is_some());
        }
    }
}

#[test]
fn calls_after_the_end_are_passed_on_and_not_written() {
    let (recorder, paper) = recorded(&NullRuntime::new());
    recorder.list(&ContainerFilter::all()).unwrap();
    assert_eq!(recorder.finish().unwrap(), 1);
    recorder.list(&ContainerFilter::all()).unwrap();
    assert_eq!(recorder.finish().unwrap(), 1);
    assert_eq!(paper.text().lines().count(), 2);
}

#[test]
fn what_is_no_recording_is_refused_with_its_line() {
    let refused = |text: &str| {
        let error = Replay::read(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        error.to_string()
    };
    let header =
        r#"{"format":"rt-recording","version":1,"runtime":"x","capabilities":["logs","sunspots"],"new":1}"#;
    let call = r#"{"seq":1,"op":"list","args":{},"answer":{"ok":[],"new":1},"new":[]}"#;
    assert!(refused("").contains("empty"));
    assert!(refused("{}\n").contains("line 1: this is no recording"));
    assert!(refused("not json\n").contains("line 1, column"));
    let newer = header.replace(":1,", ":2,");
    let text = refused(&newer);
    assert!(text.contains("version 2") && text.contains(&format!("up to {FORMAT_VERSION}")), "{text}");
    assert!(refused(&format!("{header}\n{call}\n{{\"seq\":\n{call}\n")).contains("line 3, column"));
    for broken in [
        r#"{"op":"list"}"#,
        r#"{"seq":1,"op":"list"}"#,
        r#"{"seq":2,"op":"x","container":3,"answer":{"ok":1}}"#,
    ] {
        assert!(refused(&format!("{header}\n\n{broken}\n")).contains("line 3: "), "{broken}");
    }

    // Unknown fields and capabilities are skipped, and the last newline may be missing.
    let replay = Replay::read(format!("{header}\n{call}").as_bytes()).unwrap();
    assert_eq!(replay.capabilities(), Capabilities::none().with(Capability::Logs));
    assert!(replay.list(&ContainerFilter::all()).unwrap().is_empty());
    assert_eq!(replay.truncated_line(), None);
    // An answer that cannot be read is an error of its call.
    let odd = call.replace("[]", "7");
    let error = Replay::read(format!("{header}\n{odd}\n").as_bytes())
        .unwrap()
        .list(&ContainerFilter::all())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadAnswer);
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn a_last_line_that_broke_off_is_left_out_and_told() {
    let (recorder, paper) = recorded(&NullRuntime::new());
    for _ in 0..2 {
        recorder.list(&ContainerFilter::all()).unwrap();
    }
    let bytes = paper.bytes();
    let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    for cut in last + 2..bytes.len() - 1 {
        let replay = Replay::read(&bytes[..cut]).unwrap();
        assert_eq!(replay.truncated_line(), Some(3));
        replay.list(&ContainerFilter::all()).unwrap();
        let error = replay.list(&ContainerFilter::all()).unwrap_err();
        assert!(error.message().ends_with("the recording breaks off in line 3"), "{error}");
    }
}

#[test]
fn an_idle_stream_may_be_idle_again_and_anything_else_is_told() {
    let runtime = NullRuntime::new();
    runtime.clock().skip_waits(true);
    runtime.set_state("job", ContainerState::Running).unwrap();
    let (recorder, paper) = recorded(&runtime);
    let soon = || Until::after(Duration::from_millis(1));
    let follow = LogOptions::new().follow();
    for _ in 0..2 {
        runtime.set_logs("job", LogScript::new().line("one")).unwrap();
        let mut log = recorder.container(&name("job")).logs(&follow).unwrap();
        assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
        assert_eq!(log.pull(&soon()).unwrap(), Pull::Idle);
        runtime.push_log("job", rt_protocol::LogLine::new(rt_protocol::OutputStream::Stdout, "two")).unwrap();
        assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
    }
    let replay = paper.replay();
    let mut log = replay.container(&name("job")).logs(&follow).unwrap();
    assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
    // Idle is as long as the caller allows, and who allows for ever is not idle.
    let before = std::time::Instant::now();
    assert_eq!(log.pull(&Until::after(Duration::from_millis(30))).unwrap(), Pull::Idle);
    assert!(before.elapsed() >= Duration::from_millis(30));
    assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
    assert_eq!(log.pull(&soon()).unwrap_err().kind(), ErrorKind::BackendFailed);
    assert_eq!(log.pull(&soon()).unwrap(), Pull::End);
    log.close().unwrap();

    let mut log = replay.container(&name("job")).logs(&follow).unwrap();
    let forever = Until::forever();
    for _ in 0..2 {
        assert!(matches!(log.pull(&forever).unwrap(), Pull::Item(_)));
    }
    drop(log);
    assert_eq!(replay.unused(), Vec::<String>::new());
}

#[test]
fn readiness_follows_the_caller_of_the_replay() {
    let runtime = NullRuntime::new();
    runtime.set_logs("job", LogScript::new().line("one").line("ready")).unwrap();
    runtime.set_state("job", ContainerState::Running).unwrap();
    let (recorder, paper) = recorded(&runtime);
    let watch = |runtime: &dyn ContainerRuntime, sign: &str, echo: &mut dyn Write| {
        runtime.container(&name("job")).stream_initial_logs(&mut |line| line == sign, echo, &Until::forever())
    };
    let mut echo = Vec::new();
    assert!(watch(&recorder, "ready", &mut echo).unwrap().is_ready());
    let mut again = Vec::new();
    assert!(watch(&paper.replay(), "ready", &mut again).unwrap().is_ready());
    assert_eq!(again, echo);
    let mut less = Vec::new();
    assert!(watch(&paper.replay(), "one", &mut less).unwrap().is_ready());
    assert_eq!(less, b"one\n");
    let replay = paper.replay();
    let error = watch(&replay, "never", &mut io::sink()).unwrap_err();
    assert!(error.message().contains(r#"the line "ready" was the sign"#), "{error}");
    assert!(replay.finish().is_err());
}

#[test]
fn host_paths_and_times_need_not_be_repeated() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let runtime = NullRuntime::new();
    let program = |runtime: &dyn ContainerRuntime, home: &Path| -> Result<()> {
        let mount = rt_protocol::Mount::read_only(home, "/site")?;
        let job =
            runtime.create(&LaunchSpec::builder("job", "alpine").mount(mount).build()?, &Until::forever())?;
        fs::write(home.join("a"), "a").unwrap();
        job.copy_in(&home.join("a"), &path("/a"), &CopyOptions::new(), &Until::forever())?;
        job.copy_out(&path("/a"), &home.join("b"), &CopyOptions::new(), &Until::forever())?;
        assert_eq!(fs::read(home.join("b")).unwrap(), b"a");
        drop(runtime.events(&EventOptions::new().since(SystemTime::now()))?);
        Ok(())
    };
    let (recorder, paper) = recorded(&runtime);
    program(&recorder, homes[0].path()).unwrap();
    let replay = paper.replay();
    program(&replay, homes[1].path()).unwrap();
    replay.finish().unwrap();
}
