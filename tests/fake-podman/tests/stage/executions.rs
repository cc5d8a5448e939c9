//! Commands that end, are ended, or whose podman lets them down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_process::procfs;
use rt_protocol::{
    Container, ContainerExt, ContainerName, ContainerRuntime, ContainerRuntimeExt, ErrorKind, ExecRequest,
    ExecStdio, ExitOutcome, Health, KillOutcome, KillReport, ReadyWhen, Signal, Sink, Source, Until,
};

use crate::Case;
use crate::engine::{Engine, patience};

pub(crate) const CASES: &[Case] = &[
    ("exec: every exit code is the command's own", exit_codes),
    ("exec: no clock decides what a code means, nor whether a container runs", clocks),
    ("exec: no clock that is set meanwhile decides where only the events tell", clock_is_set),
    ("exec: podman's words from the command itself are not believed", words),
    ("exec: output that is not UTF-8 arrives byte by byte", bytes),
    ("exec: a command that is ended is gone, and never a success", ended),
    ("exec: a client that dies of a signal is lost, and its command is ended", client_dies),
    ("exec: a client that dies leaves no record of its command", no_record),
    ("exec: a command whose start takes its time does not run on after its deadline", slow_start),
    ("exec: a client that hangs and starts nothing is never started", client_hangs),
    ("exec: a podman that cannot describe the container is no absent container", blind),
    ("exec: with the container the command is lost", container_goes),
    ("exec: sixteen at once are sixteen answers", parallel),
    ("wait: -1 is settled by the record of the container", minus_one),
    ("wait: a container that is removed meanwhile has its code from the events", removed_meanwhile),
    ("ready: a health condition waits for podman's own verdict", health),
    ("stop: a client that is stuck is left alone, and the answer says so", stuck),
];

pub(crate) fn request(words: &[&str]) -> ExecRequest {
    ExecRequest::new(words.iter().copied()).unwrap()
}

fn faulty(engine: &Engine, name: &str, fault: &str) -> Arc<dyn Container> {
    engine.faulty(fault).container(&ContainerName::new(name).unwrap())
}

fn exit_codes(engine: &Engine) {
    let container = engine.running("c");
    for code in [0, 1, 3, 125, 126, 127, 137, 143, 255] {
        let result = container.exec(&request(&["sh", "-c", &format!("exit {code}")]), &patience()).unwrap();
        assert_eq!(result.outcome, ExitOutcome::Code(code));
    }
}

/// Clocks are set while containers run, and virtual machines sleep: podman's records are of another
/// time than its answers.
fn clocks(engine: &Engine) {
    let name = ContainerName::new("c").unwrap();
    let at = |clock: &str| engine.builder().env("FAKE_PODMAN_CLOCK", clock).build().unwrap();
    for (records, calls) in [("0", "3600"), ("0", "-3600"), ("3600", "0"), ("-3600", "0"), ("3600", "-3600")]
    {
        at(records).launch(&engine.spec("c").build().unwrap(), patience()).unwrap();
        let runtime = at(calls);
        let container = runtime.container(&name);
        for code in [0, 1, 125, 126, 127, 137, 255] {
            let result = container.exec(&request(&["sh", "-c", &format!("exit {code}")]), &patience());
            assert_eq!(
                result.unwrap().outcome,
                ExitOutcome::Code(code),
                "records of {records}, calls at {calls}"
            );
        }
        let error = container.exec(&request(&["/no/such"]), &patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
        container.stop(Duration::ZERO, &patience()).unwrap();
        assert_eq!(container.wait(&patience()).unwrap(), ExitOutcome::Code(137));
        container.start(&patience()).unwrap();
        assert!(container.state(Until::forever()).unwrap().unwrap().is_running());
        let result = container.exec(&request(&["sh", "-c", "exit 137"]), &patience()).unwrap();
        assert_eq!(result.outcome, ExitOutcome::Code(137));
        assert!(runtime.force_remove(std::slice::from_ref(&name), &patience())[0].removed);
    }
}

/// The host does not see podman's records, and podman's clock is set before its events are asked
/// for.
fn clock_is_set(engine: &Engine) {
    engine.running("c");
    let name = ContainerName::new("c").unwrap();
    for later in [3600, -3600, 172_800, -172_800] {
        let blind = engine.script(&format!(
            r#"case " $* " in
*" inspect "*)
    answer=$("$podman" "$@")
    code=$?
    printf '%s' "$answer" | sed 's/"StaticDir"/"NoDir"/'
    exit "$code" ;;
*" events "*) export FAKE_PODMAN_CLOCK={later} ;;
esac
exec "$podman" "$@"
"#
        ));
        let at = |fault: &str| {
            let builder = engine.builder().binary(&blind).env("FAKE_PODMAN_FAULT", fault);
            builder.build().unwrap().container(&name)
        };
        let run = |script: &str| at("").exec(&request(&["sh", "-c", script]), &patience()).unwrap().outcome;
        for code in [0, 1, 2, 125] {
            assert_eq!(run(&format!("exit {code}")), ExitOutcome::Code(code), "{later}");
        }
        let forged = "echo 'Error: crun: executable file `x` not found in $PATH: No such file or directory: OCI runtime \
                      attempted to invoke a command that was not found' >&2; exit 127";
        assert_eq!(run(forged), ExitOutcome::Code(127), "{later}");
        assert_eq!(run("exit 0"), ExitOutcome::Code(0), "{later}");
        // Others have returned 0 before; this one was ended before its command could begin.
        let unseen = at("exec:exit-without-a-word=0").exec(&request(&["true"]), &patience());
        assert_eq!(unseen.unwrap_err().kind(), ErrorKind::BackendInterrupted, "{later}");
    }
}

fn words(engine: &Engine) {
    let container = engine.running("c");
    let text = "Error: no container with name or ID \"c\" found: no such container";
    for code in [125, 127, 255] {
        let script = format!("echo '{text}' >&2; exit {code}");
        let result = container.exec(&request(&["sh", "-c", &script]), &patience()).unwrap();
        assert_eq!(result.outcome, ExitOutcome::Code(code));
    }
}

fn bytes(engine: &Engine) {
    let container = engine.running("c");
    let result = container.exec(&request(&["printf", "a\\377\\000b\\r\\n"]), &patience()).unwrap();
    assert_eq!(result.stdout.as_bytes(), b"a\xff\0b\r\n");
    let mut moved = Vec::new();
    let stdio = ExecStdio::new(Source::bytes(b"\xff\0\xfe".to_vec()), Sink::borrowed(&mut moved));
    container.exec_stdio(&request(&["cat"]), stdio, &patience()).unwrap().exit_ok().unwrap();
    assert_eq!(moved, b"\xff\0\xfe");
}

/// How many processes of the container have this word among theirs.
fn count(engine: &Engine, word: &str) -> usize {
    let (first, rest) = word.split_at(1);
    let script = format!("ps -o args | grep -c '[{first}]{rest}'; true");
    let (_, stdout, _) = engine.ask(&["exec", "c", "sh", "-c", &script]);
    stdout.trim().parse().unwrap()
}

fn ended(engine: &Engine) {
    engine.running("c");
    // In 4.3 TERM makes the client exit with 0 while its command goes on; the fault does so in
    // every version.
    for fault in ["slow=0", "exec:term-exits-0"] {
        let container = faulty(engine, "c", fault);
        for script in ["sleep 4242001 & exec sleep 4242001", "trap '' TERM; sleep 4242001; sleep 4242001"] {
            let report = interrupted(container.as_ref(), script);
            assert_eq!(report.outcome, KillOutcome::Gone, "{fault} {script}: {report}");
            assert!(report.killed >= 1, "{report}");
            assert_eq!(count(engine, "4242001"), 0);
        }
    }
}

/// What became of a command whose deadline came when it ran.
fn interrupted(container: &dyn Container, script: &str) -> KillReport {
    let mut limit = Duration::from_millis(500);
    loop {
        let error = container.exec(&request(&["sh", "-c", script]), &Until::after(limit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let report = error.kill_report().unwrap();
        // On a busy machine it came too early, and said so.
        if report.outcome != KillOutcome::NeverStarted {
            return report.clone();
        }
        limit *= 2;
        assert!(limit < Duration::from_secs(60), "no deadline is long enough: {report}");
    }
}

fn client_dies(engine: &Engine) {
    engine.running("c");
    let container = faulty(engine, "c", "exec:die-by-signal=300");
    let result = container.exec(&request(&["sleep", "4242002"]), &patience()).unwrap();
    assert_eq!(result.outcome, ExitOutcome::Lost);
    assert_eq!(count(engine, "4242002"), 0);
}

fn no_record(engine: &Engine) {
    engine.running("c");
    let static_dir = engine.ask(&["container", "inspect", "--format={{.StaticDir}}", "c"]).1;
    let records = || {
        let entries = std::fs::read_dir(static_dir.trim()).unwrap().filter_map(Result::ok);
        entries.filter(|entry| entry.path().join("exec-process-1").exists()).count()
    };
    // The client is dead before its command has ended by itself, and nobody ends that.
    engine.ask_with("exec:die-by-signal=1500", &["exec", "c", "sleep", "3"]);
    let begun = Instant::now();
    while records() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "a record is left");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ids = engine.ask(&["container", "inspect", "--format={{len .ExecIDs}}", "c"]).1;
    assert_eq!(ids, "1\n", "the id stays, as podman's does");
}

fn slow_start(engine: &Engine) {
    engine.running("c");
    let container = faulty(engine, "c", "exec:slow-conmon=1600");
    let limit = Until::after(Duration::from_millis(300));
    let error = container.exec(&request(&["sleep", "4242005"]), &limit).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let report = error.kill_report().unwrap();
    assert!(matches!(report.outcome, KillOutcome::Gone | KillOutcome::NeverStarted), "{report}");
    // By now it would have begun.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(count(engine, "4242005"), 0, "{report}");
}

fn client_hangs(engine: &Engine) {
    engine.running("c");
    for fault in ["exec:hang", "exec:hang-deaf"] {
        let container = faulty(engine, "c", fault);
        let error = container
            .exec(&request(&["sleep", "4242003"]), &Until::after(Duration::from_millis(300)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::NeverStarted, "{fault}: {error}");
    }
}

fn blind(engine: &Engine) {
    engine.running("c");
    for (fault, kind) in [
        ("container inspect:half-json", ErrorKind::InvalidResponse),
        ("container inspect:exit-without-a-word=125", ErrorKind::BackendFailed),
        ("container inspect:fail=125:Error: database is locked", ErrorKind::BackendFailed),
    ] {
        let error = faulty(engine, "c", fault).exec(&request(&["true"]), &patience()).unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}: {error}");
    }
    // Without an event log podman's words decide.
    let container =
        faulty(engine, "c", "events:fail=125:Error: cannot read events with the \"none\" backend");
    let error = container.exec(&request(&["nosuchcmd"]), &patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
    let result = container.exec(&request(&["sh", "-c", "exit 127"]), &patience()).unwrap();
    assert_eq!(result.outcome, ExitOutcome::Code(127));
}

fn container_goes(engine: &Engine) {
    let container = engine.running("c");
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| container.exec(&request(&["sleep", "4242004"]), &patience()));
        while count(engine, "4242004") == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        engine.ask(&["rm", "--force", "--time=0", "c"]);
        running.join().unwrap().unwrap().outcome
    });
    assert_eq!(outcome, ExitOutcome::Lost);
}

fn parallel(engine: &Engine) {
    let container = engine.running("c");
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..16)
            .map(|number| {
                let container = &container;
                scope.spawn(move || {
                    let script = format!("echo {number}; exit {number}");
                    container.exec(&request(&["sh", "-c", &script]), &patience()).unwrap()
                })
            })
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            let result = call.join().unwrap();
            assert_eq!(result.stdout.text(), format!("{number}\n"));
            assert_eq!(result.outcome, ExitOutcome::Code(i32::try_from(number).unwrap()));
        }
    });
    let sessions = engine.ask(&["container", "inspect", "--format={{len .ExecIDs}}", "c"]).1;
    assert_eq!(sessions, "0\n");
}

fn ending(engine: &Engine, script: &str) {
    let spec = engine.spec("e").command(["sh", "-c", script]).build().unwrap();
    engine.runtime().launch(&spec, patience()).unwrap();
}

fn minus_one(engine: &Engine) {
    ending(engine, "sleep 0.3; exit 7");
    let container = faulty(engine, "e", "wait:wait-says-minus-one");
    assert_eq!(container.wait(&patience()).unwrap(), ExitOutcome::Code(7));
}

fn removed_meanwhile(engine: &Engine) {
    let waits = || engine.calls().iter().filter(|call| call[0] == "@waits").count();
    for (code, clock) in [(7, "0"), (0, "0"), (7, "172800"), (7, "-172800")] {
        ending(engine, &format!("until [ -e /tmp/go ]; do sleep 0.05; done; exit {code}"));
        // The record goes while podman answers -1: only the events know.
        let faults = "wait:wait-says-minus-one,wait:slow=300";
        let runtime = engine.builder().env("FAKE_PODMAN_FAULT", faults).env("FAKE_PODMAN_CLOCK", clock);
        let container = runtime.build().unwrap().container(&ContainerName::new("e").unwrap());
        let seen = std::thread::scope(|scope| {
            let before = waits();
            let waiter = scope.spawn(|| container.wait(&patience()));
            while waits() == before && !waiter.is_finished() {
                std::thread::sleep(Duration::from_millis(5));
            }
            // It may end with the container, so its code says nothing.
            engine.ask(&["exec", "e", "touch", "/tmp/go"]);
            while engine.ask(&["rm", "e"]).0 != 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            waiter.join().unwrap().unwrap()
        });
        assert_eq!(seen, ExitOutcome::Code(code), "{clock}");
    }
}

fn stuck(engine: &Engine) {
    engine.running("c");
    let container = faulty(engine, "c", "stop:stop-stuck");
    let begun = Instant::now();
    let error = container.stop(Duration::ZERO, &patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    assert!(error.to_string().contains("stopping"), "{error}");
    assert!((14..25).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // The client was not killed. This test made it, and ends it.
    let own = std::process::id();
    let left: Vec<_> = procfs::snapshot()
        .unwrap()
        .into_iter()
        .filter(|entry| entry.parent == own && !entry.is_zombie)
        .filter(|entry| {
            let words = std::fs::read(format!("/proc/{}/cmdline", entry.pid)).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{}/environ", entry.pid)).unwrap_or_default();
            let ours = engine.directory().to_string_lossy().into_owned();
            String::from_utf8_lossy(&words).contains("stop")
                && String::from_utf8_lossy(&environment).contains(&ours)
        })
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    procfs::signal(&left[0], Signal::KILL).unwrap();
    let before = engine.calls().len();
    assert!(engine.runtime().force_remove(&[container.key().name.clone()], &patience())[0].removed);
    // podman 4.3 drops the record of a container that is being stopped, and ends none of its
    // processes.
    let calls = engine.calls().split_off(before);
    let place = |verb: &str| calls.iter().position(|words| words.iter().any(|word| word == verb));
    assert!(place("kill").is_some() && place("kill") < place("rm"), "{calls:?}");
}

fn health(engine: &Engine) {
    let without = engine.running("n");
    let error = ReadyWhen::new().healthy().wait(without.as_ref(), patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert_eq!(engine.ask(&["healthcheck", "run", "n"]).0, 125);

    let spec =
        engine.spec("h").extra_args(["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"]);
    let container = engine.runtime().launch(&spec.build().unwrap(), patience()).unwrap();
    for verdict in [Health::Starting, Health::Starting, Health::Unhealthy] {
        assert_eq!(engine.ask(&["healthcheck", "run", "h"]).0, 1);
        assert_eq!(container.health(Until::forever()).unwrap(), Some(verdict));
    }
    let short = Until::after(Duration::from_millis(300));
    let error = ReadyWhen::new().healthy().wait(container.as_ref(), &short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("health"), "{error}");
    assert!(container.exec(&request(&["touch", "/tmp/well"]), &patience()).unwrap().success());
    assert_eq!(engine.ask(&["healthcheck", "run", "h"]).0, 0);
    ReadyWhen::new().healthy().wait(container.as_ref(), patience()).unwrap();
}
