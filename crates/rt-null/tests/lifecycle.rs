//! Facts about containers: creation, states, waits, copies, events, removal. Commands are in
//! `commands`.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use rt_null::{ExecReply, Fault, NullContainer, NullRuntime, Operation, Scope, StdioScript, When};
use rt_protocol::{
    Argv, BindMount, Container, ContainerExt, ContainerFilter, ContainerInfo, ContainerName, ContainerPath,
    ContainerRuntime, ContainerRuntimeExt, ContainerState, CopyOptions, Error, ErrorKind, EventAction,
    EventOptions, ExitOutcome, Health, ImageExt, LaunchSpec, MountInfo, NamePrefix, PortMapping,
    PublishedPort, Pull, PullPolicy, Result, Signal, TransportProtocol, Until,
};

fn name(text: &str) -> ContainerName {
    ContainerName::new(text).unwrap()
}

fn forever() -> Until {
    Until::forever()
}

fn launch(runtime: &NullRuntime, name: &str) -> Arc<dyn Container> {
    runtime.launch(&LaunchSpec::builder(name, "alpine").build().unwrap(), forever()).unwrap()
}

#[test]
fn a_created_container_shows_what_it_was_made_from() -> Result<()> {
    let runtime = NullRuntime::new();
    let spec = LaunchSpec::builder("web", "docker.io/library/nginx:1.27")
        .command(["nginx"])
        .env("TZ", "UTC")
        .label("app", "web")
        .port(PortMapping::any_port_on_loopback(80))
        .port(PortMapping::on_loopback(8443, 443))
        .mount(BindMount::read_only("/srv/site", "/html")?)
        .memory(1 << 20)
        .build()?;
    let web = runtime.create(&spec, &forever())?;
    let info = web.inspect(&Until::forever())?.unwrap();
    assert_eq!(info.state, ContainerState::Created);
    assert_eq!(info.id.as_str().len(), 64);
    assert_eq!(info.image_name.as_deref(), Some("docker.io/library/nginx:1.27"));
    assert_eq!(info.labels["app"], "web");
    assert_eq!(info.mounts, [MountInfo::new(Some("/srv/site".into()), "/html")]);
    assert_eq!((info.ports.len(), info.started_at, info.exit_code), (0, None, None));
    assert_eq!(runtime.spec(web.key().name.as_str().try_into().as_ref().unwrap()), Some(spec.clone()));
    assert!(web.image(&Until::forever())?.unwrap().exists(Until::forever())?);

    web.start(&forever())?;
    let ports = web.ports(Until::forever())?.unwrap();
    assert_eq!(ports[1].host_port, 8443);
    assert!(ports[0].host_port >= 1024);
    web.stop(Duration::ZERO, &forever())?;
    assert_eq!(web.ports(Until::forever())?.unwrap(), []);
    web.start(&forever())?;
    assert_eq!(web.ports(Until::forever())?.unwrap(), ports);
    assert_eq!(runtime.create_calls()[0].spec, spec);
    Ok(())
}

#[test]
fn names_ports_and_images_are_checked_as_podman_does() -> Result<()> {
    let runtime = NullRuntime::new();
    let spec = |name: &str| {
        LaunchSpec::builder(name, "localhost/own").port(PortMapping::on_loopback(8080, 80)).build().unwrap()
    };
    launch(&runtime, "taken");
    assert_eq!(runtime.create(&spec("taken"), &forever()).unwrap_err().kind(), ErrorKind::NameInUse);

    runtime.launch(&spec("a"), forever())?;
    let error = runtime.launch(&spec("b"), forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortInUse);
    assert_eq!(
        runtime.container(&name("b")).state(Until::forever())?,
        None,
        "a failed launch leaves nothing"
    );

    let never = LaunchSpec::builder("c", "nosuch").pull(PullPolicy::Never).build()?;
    let error = runtime.create(&never, &forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchImage);
    assert!(error.to_string().contains("`nosuch`"), "{error}");
    runtime.allow_pulls(false);
    let missing = LaunchSpec::builder("c", "nosuch").build()?;
    assert_eq!(runtime.create(&missing, &forever()).unwrap_err().kind(), ErrorKind::NoSuchImage);
    Ok(())
}

#[test]
fn verbs_on_an_absent_container_say_so() {
    let runtime = NullRuntime::new();
    let nobody = runtime.container(&name("nobody"));
    let path = ContainerPath::new("/x").unwrap();
    let errors = [
        nobody.start(&forever()).unwrap_err(),
        nobody.stop(Duration::ZERO, &forever()).unwrap_err(),
        nobody.wait(&forever()).unwrap_err(),
        nobody.logs(&<_>::default(), &Until::forever()).map(drop).unwrap_err(),
        nobody.stream_initial_logs(&mut |_| true, &mut Vec::new(), &forever()).unwrap_err(),
        nobody.copy_in("/etc/hostname".as_ref(), &path, &CopyOptions::new(), &forever()).unwrap_err(),
        nobody.copy_out(&path, "/nosuch".as_ref(), &CopyOptions::new(), &forever()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error}");
    }
    assert_eq!(nobody.inspect(&Until::forever()).unwrap(), None);
    assert_eq!(nobody.rw_size(&Until::forever()).unwrap(), None);
    assert!(nobody.image(&Until::forever()).unwrap().is_none());
}

#[test]
fn starting_what_runs_and_stopping_what_does_not_are_no_errors() -> Result<()> {
    let runtime = NullRuntime::new();
    let job = launch(&runtime, "job");
    let started = job.started_at(Until::forever())?;
    job.start(&forever())?;
    assert_eq!(job.started_at(Until::forever())?, started);
    runtime.set_exit_code("job", 7)?;
    job.stop(Duration::from_secs(3), &forever())?;
    job.stop(Duration::ZERO, &forever())?;
    let info = job.inspect(&Until::forever())?.unwrap();
    assert_eq!((info.state, info.exit_code), (ContainerState::Exited, Some(7)));
    assert!(info.finished_at >= info.started_at);
    assert_eq!(runtime.stop_calls()[0].grace, Duration::from_secs(3));
    assert_eq!((runtime.start_calls().len(), runtime.stop_calls().len()), (2, 2));
    Ok(())
}

#[test]
fn a_wait_lasts_until_the_end_the_removal_or_the_deadline() -> Result<()> {
    let runtime = NullRuntime::new();
    let waits = |change: fn(&NullRuntime)| {
        let job = launch(&runtime, "job");
        let wait = thread::spawn(move || job.wait(&forever()).unwrap());
        change(&runtime);
        let outcome = wait.join();
        let _ = runtime.force_remove(&[name("job")], &forever());
        outcome
    };
    assert_eq!(waits(|runtime| runtime.end("job", 3).unwrap()).unwrap(), ExitOutcome::Code(3));
    assert_eq!(
        waits(|runtime| runtime.container(&name("job")).stop(Duration::ZERO, &forever()).unwrap()).unwrap(),
        ExitOutcome::Code(0)
    );

    let job = launch(&runtime, "job");
    let error = job.wait(&Until::after(Duration::from_millis(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    runtime.set_exit_code("job", 9)?;
    assert_eq!(job.wait(&forever())?, ExitOutcome::Code(9));
    Ok(())
}

#[test]
fn a_wait_whose_container_is_removed_is_lost() {
    // If the removal comes before the wait has looked, no wait sees it; then the race is run again.
    let lost = (0..1000).any(|_| {
        let runtime = NullRuntime::new();
        let job = launch(&runtime, "job");
        let wait = thread::spawn(move || job.wait(&forever()));
        thread::yield_now();
        let _ = runtime.force_remove(&[name("job")], &forever());
        match wait.join().unwrap() {
            Ok(outcome) => outcome == ExitOutcome::Lost,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSuchContainer);
                false
            }
        }
    });
    assert!(lost);
}

#[test]
fn removal_clears_all_and_absent_counts_as_removed() -> Result<()> {
    let runtime = NullRuntime::new();
    runtime.set_exec("job", ["make"], ExecReply::code(1))?;
    runtime.set_stdio("job", ["serve"], StdioScript::new().exit(1))?;
    runtime.set_exit_code("job", 1)?;
    runtime.inject(Operation::Exec, Scope::container("job")?, When::Every, Fault::hang());
    launch(&runtime, "job");
    runtime.set_label("job", "old", "yes")?;
    let results = runtime.force_remove(&[name("job"), name("nobody")], &forever());
    assert!(results.iter().all(|result| result.removed && result.error.is_none()));
    assert_eq!(runtime.remove_calls().len(), 2);

    let job = launch(&runtime, "job");
    assert!(runtime.exec_in("job", ["make"], Until::forever())?.success());
    assert!(job.inspect(&Until::forever())?.unwrap().labels.is_empty());
    job.stop(Duration::ZERO, &forever())?;
    assert_eq!(job.wait(&forever())?, ExitOutcome::Code(0));

    runtime.inject(
        Operation::Remove,
        Scope::container("job")?,
        When::Next,
        Fault::refused(ErrorKind::BackendFailed, "locked"),
    );
    let results = runtime.force_remove(&[name("ok"), name("job"), name("absent")], &forever());
    assert_eq!(results.iter().map(|result| result.removed).collect::<Vec<_>>(), [true, false, true]);
    assert!(results[1].error.as_ref().is_some_and(|error: &Error| error.to_string().contains("locked")));
    Ok(())
}

#[test]
fn lists_keep_their_order_and_prefixes_end_with_a_dash() -> Result<()> {
    let runtime = NullRuntime::new();
    for text in ["proj-b", "proj2-x", "proj-a", "proj"] {
        runtime.set_rw_size(text, 7)?;
    }
    let listed = runtime.list(&ContainerFilter::all(), &Until::forever())?;
    let names: Vec<_> = listed.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["proj-b", "proj2-x", "proj-a", "proj"]);
    assert!(listed.iter().all(|info| info.state == ContainerState::Created));
    let prefix = NamePrefix::new("proj")?;
    let handles = runtime.containers_with_prefix(&prefix, Until::forever())?;
    assert_eq!(handles.iter().map(|one| one.key().name.as_str()).collect::<Vec<_>>(), ["proj-b", "proj-a"]);
    assert_eq!(runtime.states(&prefix, Until::forever())?.len(), 2);
    assert_eq!(runtime.rw_sizes(&prefix, &Until::forever())?[&name("proj-a")], 7);
    Ok(())
}

#[test]
fn every_fact_can_be_set() -> Result<()> {
    let runtime = NullRuntime::new();
    let port = PublishedPort::new(22, TransportProtocol::Tcp, None, 2222);
    runtime.set_state("job", ContainerState::Running)?;
    runtime.set_id("job", "abc")?;
    runtime.set_image("job", "alpine:3.20")?;
    runtime.set_mounts("job", [MountInfo::new(None, "/data")])?;
    runtime.set_started_at("job", SystemTime::UNIX_EPOCH)?;
    runtime.set_ports("job", [port])?;
    runtime.set_health("job", Health::Healthy)?;
    runtime.set_rw_size("job", 42)?;
    let job = runtime.container(&name("job"));
    assert_eq!(job.id(Until::forever())?, Some("abc".parse()?));
    assert_eq!(job.image(&Until::forever())?.unwrap().reference().as_str(), "alpine:3.20");
    assert_eq!(job.mounts(Until::forever())?.unwrap().len(), 1);
    assert_eq!(job.started_at(Until::forever())?, Some(SystemTime::UNIX_EPOCH));
    assert_eq!(job.ports(Until::forever())?.unwrap(), [port]);
    assert_eq!(job.health(Until::forever())?, Some(Health::Healthy));
    assert_eq!(job.rw_size(&Until::forever())?, Some(42));
    runtime.set_state("job", None)?;
    assert_eq!(job.state(Until::forever())?, None);

    let info = ContainerInfo::new(name("other"), "id".parse()?, ContainerState::Paused);
    runtime.set_container(info.clone());
    assert_eq!(runtime.container(&name("other")).inspect(&Until::forever())?, Some(info));
    assert_eq!(runtime.set_state("-bad", None).unwrap_err().kind(), ErrorKind::InvalidRequest);
    Ok(())
}

#[test]
fn handles_are_equal_by_runtime_and_name() {
    let (one, two) = (NullRuntime::new(), NullRuntime::new());
    assert_ne!(one.id(), two.id());
    assert!(one.id().as_str().starts_with("null#"));
    let (a, b) = (one.container(&name("a")), one.clone().container(&name("a")));
    assert!(*a == *b && *a != *two.container(&name("a")) && *a != *one.container(&name("b")));
    let concrete = a.as_any().downcast_ref::<NullContainer>().unwrap();
    assert!(HashSet::from([concrete.clone()]).contains(b.as_any().downcast_ref::<NullContainer>().unwrap()));
    assert!(format!("{a:?}").starts_with("NullContainer"));
}

#[test]
fn a_login_command_is_an_argv_and_is_recorded() -> Result<()> {
    let runtime = NullRuntime::new();
    let job = runtime.container(&name("job"));
    assert_eq!(
        job.login_command(Some(&Argv::new(["sh", "-l"])?), &Until::forever())?,
        ["null-exec", "job", "sh", "-l"]
    );
    assert_eq!(job.login_command(None, &Until::forever())?[..3], ["null-exec", "job", "tmux"]);
    assert_eq!(runtime.login_calls().len(), 2);
    Ok(())
}

#[test]
fn copies_keep_files_in_memory() -> Result<()> {
    let host = std::env::temp_dir().join(format!("rt-null-copy-{}", std::process::id()));
    fs::create_dir_all(host.join("in/sub")).unwrap();
    fs::write(host.join("in/a"), "A").unwrap();
    fs::write(host.join("in/sub/b"), "B").unwrap();

    let runtime = NullRuntime::new();
    let job = launch(&runtime, "job");
    let options = CopyOptions::new();
    let path = |text: &str| ContainerPath::new(text).unwrap();
    runtime.set_file("job", "/srv/old", "O")?;
    job.copy_in(&host.join("in"), &path("/srv"), &options, &forever())?;
    job.copy_in(&host.join("in/a"), &path("/srv/../srv"), &options, &forever())?;
    job.copy_in(&host.join("in/a"), &path("/one"), &options, &forever())?;
    let file = |text: &str| runtime.file(&name("job"), &path(text));
    assert_eq!(file("/srv/a"), Some(b"A".to_vec()));
    assert_eq!(file("/srv/sub/b"), Some(b"B".to_vec()));
    assert_eq!(file("/srv/old"), Some(b"O".to_vec()));
    assert_eq!(file("/one"), Some(b"A".to_vec()));

    job.copy_out(&path("/srv"), &host.join("out"), &options, &forever())?;
    assert_eq!(fs::read(host.join("out/sub/b")).unwrap(), b"B");
    job.copy_out(&path("/one"), &host.join("out"), &options, &forever())?;
    assert_eq!(fs::read(host.join("out/one")).unwrap(), b"A");
    let missing = job.copy_out(&path("/nosuch"), &host.join("x"), &options, &forever()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoSuchPath);
    let missing = job.copy_in(&host.join("nosuch"), &path("/x"), &options, &forever()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoSuchPath);
    assert_eq!(runtime.copy_calls().len(), 7);
    fs::remove_dir_all(&host).unwrap();
    Ok(())
}

#[test]
fn a_silent_engine_is_unresponsive_and_no_empty_list() {
    let runtime = NullRuntime::new();
    launch(&runtime, "job");
    for operation in [Operation::List, Operation::Inspect, Operation::Start] {
        runtime.inject(operation, Scope::all(), When::Next, Fault::hang());
    }
    let job = runtime.container(&name("job"));
    let errors = [
        runtime.list(&ContainerFilter::all(), &Until::forever()).unwrap_err(),
        job.state(Until::forever()).unwrap_err(),
        job.start(&forever()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::BackendUnresponsive);
        assert!(error.message().contains("30 s"), "{error}");
    }
    runtime.inject(Operation::Start, Scope::all(), When::Next, Fault::hang());
    let error = job.start(&Until::after(Duration::from_secs(5))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_pause_and_a_signal_are_told() -> Result<()> {
    let runtime = NullRuntime::new();
    let mut events = runtime.events(&EventOptions::new(), &forever())?;
    let container = launch(&runtime, "a");
    runtime.set_exit_code("a", 7)?;
    let started = container.started_at(forever())?;
    container.pause(&forever())?;
    container.unpause(&forever())?;
    container.kill(Signal::HUP, &forever())?;
    assert!(container.running(forever())?);
    container.kill(Signal::TERM, &forever())?;
    let info = container.inspect(&forever())?.unwrap();
    assert_eq!((info.state, info.exit_code, info.started_at), (ContainerState::Exited, Some(7), started));
    let mut seen = Vec::new();
    while let Pull::Item(event) = events.pull(&Until::after(Duration::ZERO))? {
        seen.push(event.action);
    }
    let expected = [
        EventAction::Paused,
        EventAction::Unpaused,
        EventAction::Killed,
        EventAction::Killed,
        EventAction::Died,
    ];
    assert!(seen.ends_with(&expected), "{seen:?}");
    let signals: Vec<_> = runtime.kill_calls().iter().map(|call| call.signal).collect();
    assert_eq!(signals, [Signal::HUP, Signal::TERM]);
    assert_eq!((runtime.pause_calls().len(), runtime.unpause_calls().len()), (1, 1));
    Ok(())
}

#[test]
fn commands_of_a_paused_container_go_on() -> Result<()> {
    let runtime = NullRuntime::new();
    let script = StdioScript::new().write("a").read("b").exit(3);
    runtime.set_stdio("a", ["cat"], script)?;
    let container = launch(&runtime, "a");
    let request = rt_protocol::ExecRequest::new(["cat"])?;
    let mut command =
        container.spawn_command(&request, rt_protocol::SpawnStdio::new().piped_stdin(), forever())?;
    std::io::Read::read_exact(command.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    container.pause(&forever())?;
    std::io::Write::write_all(&mut command.stdin.take().unwrap(), b"b").unwrap();
    assert_eq!(command.wait(forever())?.outcome, ExitOutcome::Code(3));
    Ok(())
}

#[test]
fn what_is_paused_takes_no_signal_and_is_removed() -> Result<()> {
    let runtime = NullRuntime::new();
    let container = launch(&runtime, "a");
    let fault = Fault::refused(ErrorKind::BackendFailed, "no freezer");
    runtime.inject(Operation::Pause, Scope::all(), When::Next, fault);
    assert_eq!(container.pause(&forever()).unwrap_err().kind(), ErrorKind::BackendFailed);
    container.pause(&forever())?;
    assert_eq!(container.kill(Signal::KILL, &forever()).unwrap_err().kind(), ErrorKind::Paused);
    container.remove(&forever())?;
    assert_eq!((container.state(forever())?, runtime.remove_calls().len()), (None, 1));
    Ok(())
}
