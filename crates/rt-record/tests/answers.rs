//! Which recorded answer a call gets in a replay, and what happens to a call without one.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "fixture/recording.rs"]
mod recording;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use recording::{recorded, seen};
use rt_null::{ArgvPattern, ExecReply, LogScript, NullRuntime, Scope};
use rt_protocol::{
    ContainerExt, ContainerName, ContainerPath, ContainerRuntime, ContainerRuntimeExt, ContainerState,
    CopyOptions, ErrorKind, EventOptions, LaunchSpec, LogOptions, Pull, Result, Until,
};

fn name(text: &str) -> ContainerName {
    ContainerName::new(text).unwrap()
}

fn path(text: &str) -> ContainerPath {
    ContainerPath::new(text).unwrap()
}

#[test]
fn what_was_not_recorded_says_what_was_expected() {
    let runtime = NullRuntime::new();
    runtime.set_state("job", ContainerState::Running).unwrap();
    let (recorder, paper) = recorded(&runtime);
    let _ = recorder.exec_in("job", ["make", "test"], Until::forever()).unwrap();
    recorder.container(&name("job")).state(Until::forever()).unwrap();
    recorder.finish().unwrap();

    let replay = paper.replay();
    let message = |words: &[&str]| {
        let error = replay.exec_in("job", words, Until::forever()).unwrap_err();
        assert_eq!((error.kind(), error.subject()), (ErrorKind::BackendFailed, Some("container `job`")));
        assert!(!error.never_started());
        error.message().to_owned()
    };
    let other = message(&["make", "\n"]);
    assert!(other.contains(r#"asked for exec {"argv":["make","\n"]}, which is not recorded"#), "{other}");
    assert!(other.contains(r#"expected next: exec {"argv":["make","test"]} (line 2)"#), "{other}");
    assert!(message(&["make", &"x".repeat(1000)]).len() < 600);
    let _ = replay.exec_in("job", ["make", "test"], Until::forever()).unwrap();
    let again = message(&["make", "test"]);
    assert!(again.contains("again, which is recorded once; expected next: inspect (line 3)"), "{again}");
    let nobody = replay.container(&name("nobody")).start(&Until::forever()).unwrap_err();
    assert!(nobody.message().ends_with("nothing more is recorded of container `nobody`"), "{nobody}");

    assert_eq!(replay.mismatches().len(), 4);
    assert_eq!(replay.unused(), ["line 3: container `job`: inspect"]);
    let error = replay.finish().unwrap_err().to_string();
    assert!(
        error.contains("asked and not recorded: 4") && error.contains("recorded and not asked: 1"),
        "{error}"
    );
    replay.container(&name("job")).state(Until::forever()).unwrap();
    assert!(replay.unused().is_empty());
}

#[test]
fn alike_calls_are_answered_in_recorded_order() {
    let runtime = NullRuntime::new();
    let (recorder, paper) = recorded(&runtime);
    let job = recorder.container(&name("job"));
    for state in [ContainerState::Created, ContainerState::Running, ContainerState::Exited] {
        runtime.set_state("job", state).unwrap();
        job.state(Until::forever()).unwrap();
        job.rw_size(&Until::forever()).unwrap();
    }
    let replay = paper.replay();
    let job = replay.container(&name("job"));
    // Calls in between, made or not made, do not matter.
    job.rw_size(&Until::forever()).unwrap();
    let states = [(); 3].map(|()| job.state(Until::forever()).unwrap().unwrap());
    assert_eq!(states, [ContainerState::Created, ContainerState::Running, ContainerState::Exited]);
    assert_eq!(replay.unused().len(), 2);
}

#[test]
fn sixteen_threads_record_and_replay() {
    let life = |runtime: &dyn ContainerRuntime, thread: usize| -> Vec<String> {
        let own = format!("job-{thread}");
        let spec = LaunchSpec::builder(&own, "alpine").secret_env("TOKEN", format!("token-{thread}"));
        let mut seen_all = Vec::new();
        runtime.launch(&spec.build().unwrap(), Until::forever()).unwrap();
        for round in 0..20 {
            seen_all.push(seen(runtime.exec_in(
                &own,
                ["echo", &format!("{thread}.{round}")],
                Until::forever(),
            )));
            seen_all.push(seen(runtime.exec_in(&own, ["count"], Until::forever())));
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
fn an_idle_stream_may_be_idle_again_and_anything_else_is_told() {
    let runtime = NullRuntime::new();
    runtime.clock().skip_waits(true);
    runtime.set_state("job", ContainerState::Running).unwrap();
    let (recorder, paper) = recorded(&runtime);
    let soon = || Until::after(Duration::from_millis(1));
    let follow = LogOptions::new().follow();
    for _ in 0..2 {
        runtime.set_logs("job", LogScript::new().line("one")).unwrap();
        let mut log = recorder.container(&name("job")).logs(&follow, &Until::forever()).unwrap();
        assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
        assert_eq!(log.pull(&soon()).unwrap(), Pull::Pending);
        runtime.push_log("job", rt_protocol::LogLine::new(rt_protocol::OutputStream::Stdout, "two")).unwrap();
        assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
    }
    let replay = paper.replay();
    let mut log = replay.container(&name("job")).logs(&follow, &Until::forever()).unwrap();
    assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
    // A stream is idle as long as the caller allows; a pull without a limit is never idle.
    let before = std::time::Instant::now();
    assert_eq!(log.pull(&Until::after(Duration::from_millis(30))).unwrap(), Pull::Pending);
    assert!(before.elapsed() >= Duration::from_millis(30));
    assert!(matches!(log.pull(&soon()).unwrap(), Pull::Item(_)));
    assert_eq!(log.pull(&soon()).unwrap_err().kind(), ErrorKind::BackendFailed);
    assert_eq!(log.pull(&soon()).unwrap(), Pull::End);
    log.close().unwrap();

    let mut log = replay.container(&name("job")).logs(&follow, &Until::forever()).unwrap();
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
        let mount = rt_protocol::BindMount::read_only(home, "/site")?;
        let job =
            runtime.create(&LaunchSpec::builder("job", "alpine").mount(mount).build()?, &Until::forever())?;
        fs::write(home.join("a"), "a").unwrap();
        job.copy_in(&home.join("a"), &path("/a"), &CopyOptions::new(), &Until::forever())?;
        job.copy_out(&path("/a"), &home.join("b"), &CopyOptions::new(), &Until::forever())?;
        assert_eq!(fs::read(home.join("b")).unwrap(), b"a");
        drop(runtime.events(&EventOptions::new().since(SystemTime::now()), &Until::forever())?);
        Ok(())
    };
    let (recorder, paper) = recorded(&runtime);
    program(&recorder, homes[0].path()).unwrap();
    let replay = paper.replay();
    program(&replay, homes[1].path()).unwrap();
    replay.finish().unwrap();
}
