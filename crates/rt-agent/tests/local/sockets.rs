//! What holds for an agent with a socket alone: its commands outlive it, and it ends by itself.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rt_agent::EncodedRequest;
use rt_process::ExecMarker;
use rt_protocol::{ErrorKind, ExecRequest, ExitOutcome, KILL_GRACE, Until};
use rustix::process::Signal;

use crate::fixture::{LONG, LocalAgent, pids_in, shell, signal, wait_for};

#[test]
fn a_killed_agent_leaves_its_commands_and_takes_no_more() {
    let mut local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let request = ExecRequest::builder(["sh", "-c", "echo $$ > begun; sleep 0.5; echo done; exit 7"])
        .workdir(home.path())
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| local.exec(&request, &Until::after(LONG)));
        wait_for(|| pids_in(home.path()).len() == 1);
        signal(local.process.pid(), Signal::KILL);
        let result = call.join().unwrap().unwrap();
        assert_eq!((result.outcome, result.stdout.as_bytes()), (ExitOutcome::Code(7), &b"done\n"[..]));
    });
    wait_for(|| !local.agent().is_alive());
    let error = local.exec(&shell("echo never > /dev/null"), &Until::after(LONG)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error}");
    local.is_killed = true;
}

#[test]
fn a_stopped_agent_starts_nothing_that_was_given_up() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let request = ExecRequest::builder(["touch", "ran"]).workdir(home.path()).build().unwrap();
    signal(local.process.pid(), Signal::STOP);
    for _ in 0..20 {
        let begun = Instant::now();
        let error = local.exec(&request, &Until::after(Duration::from_millis(20))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.never_started() && begun.elapsed() < KILL_GRACE, "{error}");
    }
    signal(local.process.pid(), Signal::CONT);
    // The messages before this one in the queue are done.
    assert!(local.sh("exit 0").success());
    wait_for(|| local.children().is_empty());
    assert!(!home.path().join("ran").exists());
}

#[test]
fn an_idle_agent_ends_when_nothing_of_it_runs() {
    let mut local = LocalAgent::start_with(&[], &["300"]);
    let result = local.sh("sleep 1 >/dev/null 2>&1 & exit 0");
    assert!(result.success());
    std::thread::sleep(Duration::from_millis(700));
    assert!(local.agent().is_alive(), "it reaps what runs on");
    let agent = local.agent.take().unwrap();
    wait_for(|| !agent.is_alive());
}

#[test]
fn an_agent_without_descriptors_ends_and_its_commands_go_on() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let script =
        format!("prlimit --nofile=0:0 --pid {}; echo $$ > limited; exec sleep 300", local.process.pid());
    let request = ExecRequest::builder(["sh", "-c", &script]).workdir(home.path()).build().unwrap();
    let nothing = null();
    let encoded = EncodedRequest::new(&request, &ExecMarker::fresh(), false).unwrap();
    let mut command = local.agent().begin(&encoded, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap();
    wait_for(|| pids_in(home.path()).len() == 1);
    let error = local.exec(&shell("exit 0"), &Until::after(LONG)).unwrap_err();
    assert!(error.never_started() || error.kind() == ErrorKind::BackendInterrupted, "{error}");
    wait_for(|| !local.agent().is_alive());
    command.advance();
    assert!(!command.progress().has_ended(), "{:?}", command.progress());
}

fn null() -> File {
    File::options().read(true).write(true).open("/dev/null").unwrap()
}
