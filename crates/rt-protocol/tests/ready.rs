//! Waiting for readiness, on the in-memory backend.

#![allow(clippy::unwrap_used, reason = "the panic of a test is its report")]

use std::time::{Duration, Instant};

use rt_null::{ExecReply, LogScript, NullRuntime};
use rt_protocol::{
    CancelToken, ContainerName, ContainerRuntimeExt, ContainerState, ErrorKind, ExecRequest, Health, LogLine,
    OutputStream, PartialOutput, Ready, ReadyWhen, Result, Until,
};

fn running() -> NullRuntime {
    let runtime = NullRuntime::new();
    runtime.set_state("job", ContainerState::Running).unwrap();
    runtime
}

fn wait(runtime: &NullRuntime, when: &ReadyWhen, until: &Until) -> Result<Ready> {
    runtime.wait_until_ready(&ContainerName::new("job").unwrap(), when, until)
}

fn soon() -> Until {
    Until::after(Duration::from_secs(20))
}

fn sign() -> ReadyWhen {
    ReadyWhen::new().log_line("the sign", |line| line == ">> ready")
}

fn check() -> ReadyWhen {
    ReadyWhen::new().exec(ExecRequest::new(["check"]).unwrap())
}

#[test]
fn without_conditions_ready_is_running() {
    assert!(wait(&running(), &ReadyWhen::new(), &soon()).is_ok());
    let error = wait(&NullRuntime::new(), &ReadyWhen::new(), &soon()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer);
    for state in [ContainerState::Created, ContainerState::Exited] {
        let runtime = running();
        runtime.set_state("job", state).unwrap();
        assert_eq!(wait(&runtime, &ReadyWhen::new(), &soon()).unwrap_err().kind(), ErrorKind::NotRunning);
    }
}

#[test]
fn all_conditions_are_waited_for_and_the_line_is_told() {
    let runtime = running();
    runtime.set_exec("job", ["check"], ExecReply::code(1)).unwrap();
    runtime.set_health("job", Health::Starting).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let port = rt_protocol::PublishedPort::new(80, rt_protocol::TransportProtocol::Tcp, None, address.port());
    runtime.set_ports("job", [port]).unwrap();
    let when = ReadyWhen::new()
        .exec(ExecRequest::new(["check"]).unwrap())
        .log_line("the sign", |line| line == ">> ready")
        .healthy()
        .tcp_port(80);
    let ready = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&runtime, &when, &soon()));
        std::thread::sleep(Duration::from_millis(100));
        runtime.push_log("job", LogLine::new(OutputStream::Stderr, ">> ready")).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        runtime.set_health("job", Health::Healthy).unwrap();
        assert!(!waiter.is_finished());
        runtime.set_exec("job", ["check"], ExecReply::code(0)).unwrap();
        waiter.join().unwrap()
    })
    .unwrap();
    assert_eq!((ready.lines, ready.addresses), (vec![String::from(">> ready")], vec![address]));
}

#[test]
fn a_container_that_has_ended_fails_early_with_what_was_seen() {
    let runtime = running();
    runtime.push_log("job", LogLine::new(OutputStream::Stdout, "loading")).unwrap();
    runtime.push_log("job", LogLine::new(OutputStream::Stderr, "no such database")).unwrap();
    let begun = Instant::now();
    let error = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&runtime, &sign(), &soon()));
        std::thread::sleep(Duration::from_millis(50));
        runtime.end("job", 3).unwrap();
        waiter.join().unwrap()
    })
    .unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(error.kind(), ErrorKind::NotRunning);
    let text = error.to_string();
    assert!(text.contains("`job`") && text.contains("exit code 3") && text.contains("the sign"), "{text}");
    let Some(PartialOutput::Output { stdout, stderr }) = error.partial() else { panic!("{error:?}") };
    assert_eq!((stdout.text(), stderr.text()), ("loading\n".into(), "no such database\n".into()));
}

#[test]
fn a_container_that_has_ended_is_not_ready_whatever_it_said() {
    let runtime = running();
    runtime.set_logs("job", LogScript::new().line("a").line(">> ready")).unwrap();
    runtime.end("job", 0).unwrap();
    let error = wait(&runtime, &sign(), &soon()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning);
    let Some(PartialOutput::Output { stdout, .. }) = error.partial() else { panic!("{error:?}") };
    assert_eq!(stdout.text(), "a\n>> ready\n");
}

#[test]
fn a_deadline_says_what_was_not_met_and_why() {
    let runtime = running();
    runtime.set_exec("job", ["check"], ExecReply::code(4)).unwrap();
    let when = check().tcp_port(80).log_line("the sign", |_| false);
    let error = wait(&runtime, &when, &Until::after(Duration::from_millis(300))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let text = error.to_string();
    for part in ["`check` (exit code 4)", "port 80 (not published)", "the sign (not seen)"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_cancel_ends_the_wait() {
    let (runtime, token) = (running(), CancelToken::new());
    let until = Until::cancelled(&token);
    let error = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&runtime, &sign(), &until));
        std::thread::sleep(Duration::from_millis(50));
        token.cancel();
        waiter.join().unwrap()
    })
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn what_patience_cannot_mend_is_an_error_at_once() {
    let runtime = running();
    let error = wait(&runtime, &ReadyWhen::new().healthy(), &soon()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    runtime.set_exec("job", ["check"], ExecReply::error(ErrorKind::BackendMissing, "gone")).unwrap();
    assert_eq!(wait(&runtime, &check(), &soon()).unwrap_err().kind(), ErrorKind::BackendMissing);
    runtime.set_exec("job", ["check"], ExecReply::error(ErrorKind::CommandNotFound, "not yet")).unwrap();
    let error = wait(&runtime, &check(), &Until::after(Duration::from_millis(300))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("command not found"), "{error}");
}
