//! Facts about captured commands: scripts, handlers, limits, deadlines, faults. Bridged commands
//! are in `streams`.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::time::Duration;

use rt_null::{ArgvPattern, ExecReply, Fault, NullRuntime, Operation, Scope, When};
use rt_protocol::{
    CancelToken, Capabilities, Capability, Container, ContainerName, ContainerRuntime, ContainerRuntimeExt,
    ContainerState, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, KillOutcome, OutputLimit, PartialOutput,
    Result, Secret, StreamEnd, Survivor, Until,
};

const LONG: Duration = Duration::from_secs(3600);

fn running() -> NullRuntime {
    let runtime = NullRuntime::new();
    runtime.set_state("job", ContainerState::Running).unwrap();
    runtime
}

fn job(runtime: &NullRuntime) -> std::sync::Arc<dyn Container> {
    runtime.container(&ContainerName::new("job").unwrap())
}

fn request(words: &[&str]) -> ExecRequest {
    ExecRequest::new(words.iter().copied()).unwrap()
}

#[test]
fn scripts_win_over_handlers_the_newest_first() -> Result<()> {
    let runtime = running();
    runtime.on_exec(Scope::all(), ArgvPattern::program("git"), |_| ExecReply::code(1));
    runtime.on_exec(Scope::container("job")?, ArgvPattern::prefix(["git", "log"]), |_| ExecReply::code(2));
    runtime.on_exec(Scope::container("other")?, ArgvPattern::any(), |_| ExecReply::code(3));
    runtime.set_exec("job", ["git", "log", "-1"], ExecReply::code(4))?;
    runtime.set_exec("job", ["git", "log", "-1"], ExecReply::code(5))?;
    let code = |words: &[&str]| {
        runtime.exec_in("job", words.iter().copied(), Until::forever()).unwrap().outcome.code()
    };
    assert_eq!(code(&["git", "status"]), Some(1));
    assert_eq!(code(&["git", "log"]), Some(2));
    assert_eq!(code(&["git", "log", "-1"]), Some(5));
    assert_eq!(code(&["ls"]), Some(0));
    Ok(())
}

#[test]
fn an_absent_container_and_one_that_does_not_run_are_two_errors() -> Result<()> {
    let runtime = NullRuntime::new();
    let error = runtime.exec_in("job", ["true"], Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer);
    assert!(error.to_string().contains("`job`"), "{error}");
    for (state, kind) in [
        (ContainerState::Created, ErrorKind::NotRunning),
        (ContainerState::Exited, ErrorKind::NotRunning),
        (ContainerState::Paused, ErrorKind::Paused),
        (ContainerState::Stopping, ErrorKind::Stopping),
    ] {
        runtime.set_state("job", state)?;
        let error = runtime.exec_in("job", ["true"], Until::forever()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.hint().is_some());
    }
    Ok(())
}

#[test]
fn an_empty_argv_reaches_no_recorder() {
    let runtime = running();
    let error = runtime.exec_in("job", Vec::<String>::new(), Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(runtime.set_exec("job", Vec::<String>::new(), ExecReply::success()).is_err());
    assert!(runtime.exec_calls().is_empty());
}

#[test]
fn output_is_cut_by_the_limits_of_the_request() -> Result<()> {
    let runtime = running();
    runtime.set_exec("job", ["yes"], ExecReply::stdout("0123456789").with_stderr("abc"))?;
    let limited = ExecRequest::builder(["yes"]).stdout_limit(OutputLimit::bytes(4)).build()?;
    let result = job(&runtime).exec(&limited, &Until::forever())?;
    assert_eq!((result.stdout.head(), result.stdout.tail()), (&b"01"[..], &b"89"[..]));
    assert_eq!((result.stdout.total(), result.stderr.total()), (10, 3));
    Ok(())
}

#[test]
fn what_comes_too_late_never_started() {
    let runtime = running();
    let cancelled = CancelToken::new();
    cancelled.cancel();
    let cases = [
        (Until::after(Duration::ZERO), ErrorKind::TimedOut),
        (Until::cancelled(&cancelled), ErrorKind::Cancelled),
    ];
    for (until, kind) in cases {
        let error = job(&runtime).exec(&request(&["true"]), &until).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::NeverStarted);
        assert!(error.never_started());
        assert_eq!(job(&runtime).start(&until).unwrap_err().kind(), kind);
    }
    assert!(runtime.exec_calls().is_empty());
}

#[test]
fn a_latency_beyond_the_deadline_times_out_at_once() -> Result<()> {
    let runtime = running();
    runtime.clock().freeze();
    runtime.inject(Operation::Exec, Scope::all(), When::Every, Fault::latency(Duration::from_secs(10)));
    let before = runtime.clock().now();
    let error = job(&runtime).exec(&request(&["true"]), &Until::after(Duration::from_secs(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::Gone);
    assert!(runtime.clock().now() <= before + Duration::from_secs(1));
    let result = job(&runtime).exec(&request(&["true"]), &Until::forever())?;
    assert_eq!(result.elapsed, Duration::from_secs(10));
    Ok(())
}

#[test]
fn a_hanging_command_ends_at_its_deadline_with_what_it_wrote() -> Result<()> {
    let runtime = running();
    runtime.set_exec(
        "job",
        ["daemon"],
        ExecReply::hang().with_stdout("listening\n").survivors([Survivor::new(42, "daemon")]),
    )?;
    let error = job(&runtime).exec(&request(&["daemon"]), &Until::after(LONG)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let report = error.kill_report().unwrap();
    assert_eq!((&report.outcome, report.killed, report.survivors.len()), (&KillOutcome::Alive, 0, 1));
    let Some(PartialOutput::Output { stdout, .. }) = error.partial() else { panic!("{error:?}") };
    assert_eq!(*stdout, stdout_of("listening\n").with_end(StreamEnd::Stopped));
    Ok(())
}

#[test]
fn a_hanging_command_can_be_cancelled_from_another_thread() {
    let runtime = running();
    runtime.inject(
        Operation::Exec,
        Scope::all(),
        When::Next,
        Fault::hang().kill_outcome(KillOutcome::Unknown("nobody looked".into())),
    );
    let token = CancelToken::new();
    let until = Until::after(LONG).or_cancelled(&token);
    let job = job(&runtime);
    let call = std::thread::spawn(move || job.exec(&request(&["true"]), &until));
    while runtime.exec_calls().is_empty() {
        std::thread::yield_now();
    }
    token.cancel();
    let error = call.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(matches!(error.kill_report().unwrap().outcome, KillOutcome::Unknown(_)));
}

#[test]
fn a_command_whose_container_goes_is_lost() -> Result<()> {
    let runtime = running();
    runtime.set_exec("job", ["sleep"], ExecReply::hang())?;
    let job = job(&runtime);
    let call = std::thread::spawn(move || job.exec(&request(&["sleep"]), &Until::forever()));
    while runtime.exec_calls().is_empty() {
        std::thread::yield_now();
    }
    let _ = runtime.force_remove(&[ContainerName::new("job")?], &Until::forever());
    // Either the command ran and was lost, or the removal was faster.
    match call.join().unwrap() {
        Ok(result) => assert_eq!(result.outcome, ExitOutcome::Lost),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NoSuchContainer),
    }

    runtime.set_state("job", ContainerState::Running)?;
    let own = runtime.clone();
    runtime.on_exec(Scope::all(), ArgvPattern::program("halt"), move |call| {
        own.end(&call.name, 0).unwrap();
        ExecReply::success()
    });
    assert_eq!(runtime.exec_in("job", ["halt"], Until::forever())?.outcome, ExitOutcome::Lost);
    Ok(())
}

#[test]
fn a_disconnect_cuts_stdout_and_then_stderr() -> Result<()> {
    let runtime = running();
    runtime.set_exec("job", ["make"], ExecReply::stdout("12345678").with_stderr("abcdef"))?;
    for (bytes, stdout, stderr) in
        [(0, "", ""), (5, "12345", ""), (10, "12345678", "ab"), (99, "12345678", "abcdef")]
    {
        runtime.inject(Operation::Exec, Scope::all(), When::Next, Fault::disconnect_after(bytes));
        let result = runtime.exec_in("job", ["make"], Until::forever())?;
        assert_eq!(result.outcome, ExitOutcome::Lost);
        let cut = |text| stdout_of(text).with_end(StreamEnd::Stopped);
        assert_eq!((result.stdout, result.stderr), (cut(stdout), cut(stderr)));
    }
    Ok(())
}

#[test]
fn a_reply_can_leave_its_streams_open() -> Result<()> {
    let runtime = running();
    runtime.set_exec("job", ["serve"], ExecReply::stdout("started").left_open())?;
    let open = stdout_of("started").with_end(StreamEnd::LeftOpen);
    assert_eq!(runtime.exec_in("job", ["serve"], Until::forever())?.stdout, open);
    let result = runtime.container(&ContainerName::new("job")?).exec_stdio(
        &ExecRequest::new(["serve"])?,
        ExecStdio::default(),
        &Until::forever(),
    )?;
    assert_eq!((result.stdout.bytes, result.stdout.end), (7, StreamEnd::LeftOpen));
    Ok(())
}

fn stdout_of(text: &str) -> rt_protocol::CapturedOutput {
    rt_protocol::CapturedOutput::complete(text)
}

#[test]
fn what_is_not_claimed_is_refused_and_starts_nothing() -> Result<()> {
    let runtime = NullRuntime::with_capabilities(Capabilities::all().without(Capability::ExecUser));
    runtime.set_state("job", ContainerState::Running)?;
    let request = ExecRequest::builder(["id"]).user("root").build()?;
    let error = job(&runtime).exec(&request, &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.missing().iter().collect::<Vec<_>>(), [Capability::ExecUser]);
    assert!(runtime.exec_calls().is_empty());
    Ok(())
}

#[test]
fn records_have_everything_and_show_no_secret() -> Result<()> {
    let runtime = running();
    let request = ExecRequest::builder(["deploy"])
        .env("STAGE", "test")
        .secret_env("TOKEN", Secret::new("hunter2"))
        .workdir("/srv")
        .user("app")
        .build()?;
    let _ = job(&runtime).exec(&request, &Until::forever())?;
    let call = runtime.exec_calls().remove(0);
    assert_eq!(call.env().get("STAGE").unwrap().expose(), "test");
    assert_eq!(call.env().get("TOKEN").unwrap().expose(), "hunter2");
    assert_eq!(call.workdir().unwrap().as_os_str(), "/srv");
    assert_eq!(call.user().unwrap().as_str(), "app");
    for text in [format!("{call:?}"), format!("{runtime:?}"), format!("{:?}", job(&runtime))] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    runtime.clear_calls();
    let _ = runtime.exec_in("job", ["true"], Until::forever())?;
    assert_eq!(runtime.exec_calls()[0].order, call.order + 1);
    Ok(())
}
