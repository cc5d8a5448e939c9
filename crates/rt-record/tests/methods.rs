//! Every method of the contract is replayed from a recording. Bridged commands are in `streams`,
//! random sequences in `sequences`.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "fixture/recording.rs"]
mod recording;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use recording::{recorded, seen};
use rt_null::{ArgvPattern, ExecReply, ImageFixture, LogScript, NullRuntime, Scope};
use rt_protocol::{
    Argv, Capabilities, Capability, ContainerExt, ContainerFilter, ContainerName, ContainerPath,
    ContainerRuntime, ContainerRuntimeExt, ContainerState, CopyOptions, ErrorKind, EventOptions, ExecRequest,
    ExecStdio, FileMode, FileOptions, Health, ImageExt, ImageFilter, ImageRef, LaunchSpec, LogOptions,
    MountInfo, NamePrefix, OutputLimit, PublishedPort, Pull, Signal, TransportProtocol, Until,
};

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
    runtime.set_mounts("p-b", [MountInfo::new(Some("/host".into()), "/inside")]).unwrap();
    runtime.set_ports("p-b", [PublishedPort::new(80, TransportProtocol::Udp, None, 8080)]).unwrap();
    runtime.set_rw_size("p-b", 12).unwrap();
    runtime.set_oom_killed("p-b", true).unwrap();
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

/// Calls every method of the contract, with answers of every kind. Returns what it sees of each.
#[expect(clippy::too_many_lines, reason = "a table")]
fn everything(runtime: &dyn ContainerRuntime, home: &Path) -> Vec<(&'static str, String)> {
    let forever = Until::forever();
    let mut table = Vec::new();
    macro_rules! see {
        ($op:literal, $answer:expr) => {
            table.push(($op, seen($answer)))
        };
    }
    let mut events =
        runtime.events(&EventOptions::new().since(SystemTime::UNIX_EPOCH), &Until::forever()).unwrap();
    let spec =
        LaunchSpec::builder("p-a", "alpine:3").label("a", "b").env("X", "y").memory(5).build().unwrap();
    see!("create", runtime.create(&spec, &forever).map(|made| made.key().clone()));
    see!("create", runtime.create(&spec, &forever).map(|made| made.key().clone()));
    let (a, b, absent) =
        (runtime.container(&name("p-a")), runtime.container(&name("p-b")), runtime.container(&name("no")));
    see!("start", a.start(&forever));
    see!("start", absent.start(&forever));
    for container in [&a, &b, &absent] {
        see!("inspect", container.inspect(&Until::forever()));
        see!("inspect", container.id(Until::forever()));
        see!("inspect", container.state(Until::forever()));
        see!("inspect", container.running(Until::forever()));
        see!(
            "image",
            container.image(&Until::forever()).map(|image| image.map(|image| image.reference().clone()))
        );
        see!("inspect", container.started_at(Until::forever()));
        see!("inspect", container.mounts(Until::forever()));
        see!("inspect", container.ports(Until::forever()));
        see!("inspect", container.health(Until::forever()));
        see!("rw-size", container.rw_size(&Until::forever()));
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
    see!("list", runtime.list(&ContainerFilter::all(), &Until::forever()));
    let prefix = NamePrefix::new("p").unwrap();
    see!("list", runtime.list(&ContainerFilter::prefix(prefix.clone()), &Until::forever()));
    see!("list", runtime.list(&ContainerFilter::all().label("k", "v"), &Until::forever()));
    see!("list", runtime.states(&prefix, Until::forever()));
    see!("rw-sizes", runtime.rw_sizes(&prefix, &Until::forever()));
    let family = runtime.containers_with_prefix(&prefix, Until::forever());
    see!(
        "list",
        family.map(|all| all.iter().map(|one| one.state(Until::forever()).unwrap()).collect::<Vec<_>>())
    );

    fs::write(home.join("file"), [1, 2, 0xff]).unwrap();
    let options = CopyOptions::new().create_parents();
    see!("copy-in", a.copy_in(&home.join("file"), &path("/in/file"), &options, &forever));
    see!("copy-in", absent.copy_in(&home.join("file"), &path("/in"), &options, &forever));
    see!("copy-out", a.copy_out(&path("/in"), &home.join("out/deep"), &options, &forever));
    see!("copy-out", fs::read(home.join("out/deep/file")).map_err(|_| unreachable!()));
    see!("copy-in-tar", a.copy_in_tar(&mut &b"tar"[..], &path("/t"), &forever));
    see!("copy-out-tar", a.copy_out_tar(&path("/t"), &mut Vec::new(), &forever));
    let file = FileOptions::new().mode(FileMode::new(0o600).unwrap()).parents();
    see!("write-file", a.write_file(&path("/f/a"), b"text", &file, &forever));
    see!("write-file", a.write_file(&path("/f/\n"), &[0xff, 0], &FileOptions::new(), &forever));
    see!("write-file", a.write_file(&path("/f"), b"", &file, &forever));
    for at in ["/f/a", "/f/\n", "/f", "/none"] {
        see!("read-file", a.read_file(&path(at), 3, &forever));
        see!("read-file", a.read_file(&path(at), 4, &forever));
        see!("stat", a.stat(&path(at), &forever));
        see!("list-dir", a.list_dir(&path(at), &forever));
    }
    see!("remove-path", a.remove_path(&path("/f"), &forever));
    see!("remove-path", a.remove_path(&path("/"), &forever));
    see!("stat", absent.stat(&path("/f"), &forever));
    see!("login-command", a.login_command(Some(&Argv::new(["bash", "-l"]).unwrap()), &Until::forever()));
    see!("login-command", a.login_command(None, &Until::forever()));

    let mut echo = Vec::new();
    see!("stream-initial-logs", a.stream_initial_logs(&mut |line| line == "ready", &mut echo, &forever));
    see!(
        "stream-initial-logs",
        a.stream_initial_logs(&mut |_| false, &mut echo, &Until::after(Duration::from_millis(5)))
    );
    see!("stream-initial-logs", absent.stream_initial_logs(&mut |_| true, &mut echo, &forever));
    see!("stream-initial-logs", Ok(echo));
    let mut log = a.logs(&LogOptions::new().timestamps().tail(2), &Until::forever()).unwrap();
    for _ in 0..3 {
        see!("pull", log.pull(&forever));
    }
    see!("close", log.close());
    see!("pull", log.pull(&forever));
    let mut log = a.logs(&LogOptions::new().follow(), &Until::forever()).unwrap();
    for _ in 0..5 {
        see!("pull", log.pull(&Until::after(Duration::from_millis(5))));
    }
    see!("logs", absent.logs(&LogOptions::new(), &Until::forever()).map(drop));

    see!("wait", a.wait(&Until::after(Duration::from_millis(5))));
    for container in [&a, &absent] {
        see!("pause", container.pause(&forever));
        see!("inspect", container.state(Until::forever()));
        see!("unpause", container.unpause(&forever));
        see!("kill", container.kill(Signal::HUP, &forever));
        see!("kill", container.kill(Signal::new("64").unwrap(), &forever));
    }
    see!("stop", a.stop(Duration::from_secs(3), &forever));
    see!("stop", absent.stop(Duration::from_secs(3), &forever));
    see!("wait", a.wait(&forever));
    let alpine = runtime.image(&ImageRef::new("alpine:3").unwrap());
    let unknown = runtime.image(&ImageRef::new("unknown").unwrap());
    for image in [&alpine, &unknown] {
        see!("inspect", image.inspect(&Until::forever()));
        see!("inspect", image.id(Until::forever()));
        see!("inspect", image.exists(Until::forever()));
        see!("inspect", image.labels(Until::forever()));
        see!("history", image.history(&Until::forever()));
        see!("remove", image.remove(&Until::forever()));
    }
    for filter in [ImageFilter::all(), ImageFilter::dangling()] {
        let facts = |images: Vec<Arc<dyn rt_protocol::Image>>| {
            let facts = images.iter().map(|image| {
                let listed = (image.repository(), image.tag(), image.size(), image.created());
                format!("{} {listed:?} {:?}", image.reference(), image.exists(Until::forever()))
            });
            facts.collect::<Vec<_>>()
        };
        see!("images", runtime.images(&filter, &Until::forever()).map(facts));
    }
    let held = runtime.reserve_port(IpAddr::V4(Ipv4Addr::LOCALHOST));
    see!("reserve-port", held.as_ref().map(|held| (held.address(), held.port())).map_err(Clone::clone));
    see!("close", held.unwrap().close());
    see!("reserve-port", runtime.reserve_port("192.0.2.1".parse().unwrap()).map(drop));
    let removed = runtime.force_remove(&[name("p-a"), name("no")], &forever);
    see!("force-remove", Ok(removed));
    see!("remove", b.remove(&forever));
    see!("inspect", b.state(Until::forever()));
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
    // The table has a row for every method.
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
    let ask = |runtime: &dyn ContainerRuntime| seen(runtime.list(&ContainerFilter::all(), &Until::forever()));
    let before = ask(&recorder);
    let replay = paper.replay();
    assert_eq!(ask(&replay), before);
    assert!(before.contains("lacks list"), "{before}");
    assert_eq!(replay.capabilities(), lesser.capabilities());
}
