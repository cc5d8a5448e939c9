//! A deadline or a cancel ends the command, wherever it went.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rt_podman::KillStrategy;
use rt_protocol::{
    CancelToken, ContainerExt, ContainerRuntime, Error, ErrorKind, ExecRequest, KillOutcome, LaunchSpec,
    Network, PartialOutput, TimeLimits, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rustix::process::Signal;

use crate::case::{Case, Outcome};
use crate::processes::{find, send};

pub(crate) const CASES: &[Case] = &[
    ("timeout: a child in the background is gone", background_child),
    ("timeout: a double fork is gone", double_fork),
    ("timeout: a child that ignores TERM is gone", ignores_term),
    ("timeout: a child behind env -i is gone", empty_environment),
    ("timeout: a double fork behind env -i is gone", double_fork_with_empty_environment),
    ("timeout: a session of its own does not hide a child", own_session),
    ("timeout: what hides every sign is named as unknown", hidden),
    ("timeout: a command in an image without a shell is gone", no_shell),
    ("timeout: without a look from the host, a second exec ends it", from_inside),
    ("timeout: from inside an image without a shell the answer is unknown", from_inside_without_shell),
    ("timeout: a passed deadline starts nothing", passed_deadline),
    ("timeout: a cancel from another thread ends the command", cancel),
    ("timeout: the partial output is handed over", partial_output),
    ("timeout: other commands in the same container go on", neighbours),
    ("timeout: a deadline in the middle of podman's own start is told truly", early_deadline),
    ("timeout: a client that stands still before its command leaves no record of it", stopped_client),
];

const DEADLINE: Duration = Duration::from_secs(1);

/// The bound of the contract: two seconds of grace, and one for everything else.
const AFTER_DEADLINE: Duration = Duration::from_secs(3);

/// The bound of the contract from inside, where a shell looks and podman starts it: the limit, and
/// two seconds.
const AFTER_DEADLINE_INSIDE: Duration =
    TimeLimits::DEFAULT.kill_inside.saturating_add(Duration::from_secs(2));

/// Runs `script` against a deadline of a second; the error, and that it came within the bound.
fn time_out(sandbox: &Sandbox<'_>, script: &str) -> Error {
    time_out_within(sandbox, script, AFTER_DEADLINE)
}

fn time_out_within(sandbox: &Sandbox<'_>, script: &str, bound: Duration) -> Error {
    let request = ExecRequest::new(["sh", "-c", script]).expect("a request");
    let deadline = sandbox.allow(DEADLINE).expect("a command");
    let begun = Instant::now();
    let error = sandbox.container.exec(&request, &Until::after(deadline)).expect_err("a timeout");
    let took = begun.elapsed();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(took >= deadline && took < deadline + bound, "of {deadline:?} it took {took:?}: {error:?}");
    error
}

fn check_gone(live: &Live, script: &str) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let error = time_out(&sandbox, script);
    let report = error.kill_report().expect("a report");
    assert_eq!(report.outcome, KillOutcome::Gone, "{report:?}");
    assert!(report.killed >= 1 && report.survivors.is_empty(), "{report:?}");
    assert_eq!(sandbox.count_processes("sleep 100[0-9]")?, 0);
    Ok(())
}

fn background_child(live: &Live) -> Outcome {
    check_gone(live, "sleep 1000 & exec sleep 1001")
}

fn double_fork(live: &Live) -> Outcome {
    check_gone(live, "(sleep 1000 &) ; exec sleep 1001")
}

fn ignores_term(live: &Live) -> Outcome {
    check_gone(live, "sh -c \"trap '' TERM; while :; do sleep 1000; done\" & exec sleep 1001")
}

fn empty_environment(live: &Live) -> Outcome {
    check_gone(live, "env -i sleep 1000 & exec sleep 1001")
}

fn double_fork_with_empty_environment(live: &Live) -> Outcome {
    check_gone(live, "(env -i sleep 1000 &) ; exec sleep 1001")
}

fn own_session(live: &Live) -> Outcome {
    check_gone(live, "(setsid sleep 1000 &) ; setsid env -i sleep 1002 & exec sleep 1001")
}

fn hidden(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let error = time_out(&sandbox, "(setsid env -i sleep 1000 &) ; exec sleep 1001");
    let report = error.kill_report().expect("a report");
    // Caught on its way, or named: never passed over in silence.
    match &report.outcome {
        KillOutcome::Unknown(why) => assert!(why.contains("sleep"), "{why}"),
        KillOutcome::Gone => assert_eq!(sandbox.count_processes("sleep 1000")?, 0),
        other => panic!("{other:?}"),
    }
    assert_eq!(sandbox.count_processes("sleep 1001")?, 0);
    Ok(())
}

fn no_shell(live: &Live) -> Outcome {
    let spec = LaunchSpec::builder(Sandbox::fresh_name(), live.bare_image.as_str())
        .network(Network::None)
        .command(["/bin/sleep", "777777"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let request = ExecRequest::new(["/bin/sleep", "1000"])?;
    let error = sandbox.container.exec(&request, &Until::after(sandbox.allow(DEADLINE)?)).unwrap_err();
    let report = error.kill_report().expect("a report");
    assert_eq!((&report.outcome, report.killed), (&KillOutcome::Gone, 1), "{report:?}");
    Ok(())
}

fn from_inside(live: &Live) -> Outcome {
    let runtime = live.builder().kill_strategy(KillStrategy::InContainer).build()?;
    for script in [
        "sleep 1000 & exec sleep 1001",
        "(sleep 1000 &) ; exec sleep 1001",
        "env -i sleep 1000 & exec sleep 1001",
    ] {
        let sandbox = Sandbox::launch(&runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
        let error = time_out_within(&sandbox, script, AFTER_DEADLINE_INSIDE);
        let report = error.kill_report().expect("a report");
        assert_eq!(report.outcome, KillOutcome::Gone, "{script}: {report:?}");
        assert_eq!(sandbox.count_processes("sleep 100[0-9]")?, 0, "{script}");
    }
    Ok(())
}

fn from_inside_without_shell(live: &Live) -> Outcome {
    let runtime = live.builder().kill_strategy(KillStrategy::InContainer).build()?;
    let spec = LaunchSpec::builder(Sandbox::fresh_name(), live.bare_image.as_str())
        .network(Network::None)
        .command(["/bin/sleep", "777777"]);
    let sandbox = Sandbox::launch(&runtime, spec)?;
    let request = ExecRequest::new(["/bin/sleep", "1000"])?;
    let error = sandbox.container.exec(&request, &Until::after(sandbox.allow(DEADLINE)?)).unwrap_err();
    assert!(
        matches!(error.kill_report().map(|report| &report.outcome), Some(KillOutcome::Unknown(_))),
        "{error:?}"
    );
    Ok(())
}

fn passed_deadline(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let request = ExecRequest::new(["touch", "/tmp/ran"])?;
    let error = sandbox.container.exec(&request, &Until::after(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.never_started(), "{error:?}");
    assert!(!sandbox.sh("test -e /tmp/ran")?.success());
    Ok(())
}

fn cancel(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let token = CancelToken::new();
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let request = ExecRequest::new(["sleep", "1000"]).expect("a request");
            sandbox.container.exec(&request, &Until::cancelled(&token)).expect_err("a cancel")
        });
        while sandbox.count_processes("sleep 1000").expect("a count") == 0 {}
        token.cancel();
        call.join().expect("no panic")
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.kill_report().map(|report| &report.outcome), Some(&KillOutcome::Gone));
    Ok(())
}

fn partial_output(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let error = time_out(&sandbox, "echo out; echo err >&2; trap 'echo bye; exit' TERM; sleep 1000 & wait");
    let Some(PartialOutput::Output { stdout, stderr }) = error.partial() else { panic!("{error:?}") };
    assert!(stdout.text().starts_with("out\n"), "{stdout:?}");
    assert_eq!(stderr.text(), "err\n");
    // What it says on its way out arrives too.
    assert!(stdout.text().contains("bye"), "{stdout:?}");
    Ok(())
}

fn neighbours(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| sandbox.sh("sleep 4; echo fine"));
        while sandbox.count_processes("sleep 4;").expect("a count") == 0 {}
        let error = time_out(&sandbox, "sleep 1000 & exec sleep 1001");
        assert_eq!(error.kill_report().map(|report| &report.outcome), Some(&KillOutcome::Gone), "{error:?}");
        let result = neighbour.join().expect("no panic")?;
        assert_eq!(result.stdout, "fine\n");
        Ok(())
    })
}

fn early_deadline(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("true")?.exit_ok()?;
    // Somewhere between podman's start and the command's; each must be told truly, wherever it
    // falls.
    for milliseconds in (5..160).step_by(10) {
        let file = format!("/tmp/ran-{milliseconds}");
        let request = ExecRequest::new(["sh", "-c", "touch $0; sleep 1000", &file])?;
        let error = sandbox
            .container
            .exec(&request, &Until::after(Duration::from_millis(milliseconds)))
            .expect_err("a timeout");
        let report = error.kill_report().expect("a report");
        let ran = sandbox.sh(&format!("test -e {file}"))?.success();
        match &report.outcome {
            KillOutcome::NeverStarted => assert!(!ran, "after {milliseconds} ms it ran: {report:?}"),
            KillOutcome::Gone => {}
            other => panic!("after {milliseconds} ms: {other:?}"),
        }
        assert_eq!(sandbox.count_processes("sleep 1000")?, 0, "after {milliseconds} ms: {report:?}");
    }
    let left = live.runtime.container(&sandbox.name).running(Until::forever())?;
    assert!(left);
    Ok(())
}

/// What is to be run stands in podman's record before conmon is there, which would clean up: a
/// client that was stopped in between, and then ended, leaves it to nobody.
fn stopped_client(live: &Live) -> Outcome {
    const ENOUGH: usize = 3;
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("true")?.exit_ok()?;
    let static_dir = static_dir(live, &sandbox)?;
    // A client that was stopped before it has written anything leaves an empty file, which says
    // nothing and is nobody's.
    let records = || {
        let entries = fs::read_dir(&static_dir).into_iter().flatten().filter_map(Result::ok);
        let files = entries.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten());
        let files = files.filter_map(Result::ok);
        let written = files.filter(|file| file.metadata().is_ok_and(|file| file.is_file() && file.len() > 0));
        written.filter(|file| file.file_name().to_string_lossy().starts_with("exec-process-")).count()
    };
    let mut caught = 0;
    for round in 0..100 {
        let token = format!("stopped-{round}-");
        let request = ExecRequest::new(["sh", "-c", &format!(": {token}; sleep 1000")])?;
        let deadline = sandbox.allow(DEADLINE)?;
        let error = std::thread::scope(|scope| {
            let call = scope
                .spawn(|| sandbox.container.exec(&request, &Until::after(deadline)).expect_err("a timeout"));
            // Known before the record is there: to look for them takes longer than podman takes
            // from the record to conmon.
            let mut clients = Vec::new();
            while clients.is_empty() && !call.is_finished() {
                clients = find(true, &[&token]);
            }
            while records() == 0 && !call.is_finished() {
                std::thread::sleep(Duration::from_micros(100));
            }
            for client in clients {
                send(client, Signal::STOP);
            }
            std::thread::sleep(Duration::from_millis(300));
            caught += usize::from(
                find(false, &["conmon", "--exec-process-spec", &static_dir.to_string_lossy()]).is_empty(),
            );
            call.join().expect("no panic")
        });
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
        let begun = Instant::now();
        while records() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "a record is left: {error:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        if caught == ENOUGH {
            return Ok(());
        }
    }
    panic!("only {caught} clients were stopped in time");
}

fn static_dir(live: &Live, sandbox: &Sandbox<'_>) -> Result<PathBuf, crate::case::Problem> {
    let podman = rt_process::Program::find(&live.podman)?;
    let words = ["container", "inspect", "--format={{.StaticDir}}", "--", sandbox.name.as_str()];
    let spec = rt_process::ProcessSpec::new(&podman).args(words);
    let limit = rt_protocol::OutputLimit::UNLIMITED;
    let until = Until::after(Duration::from_secs(30));
    let answer = rt_process::capture(&spec, rt_protocol::Source::empty(), limit, limit, &until)?;
    Ok(PathBuf::from(answer.stdout_capture.text().trim()))
}
