//! Processes and sockets killed, stopped or closed at the wrong moment: no false status, no command
//! that runs twice or late.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rt_agent::{AgentError, CommandEnd, EncodedRequest, Progress};
use rt_process::ExecMarker;
use rt_protocol::{ErrorKind, ExecRequest, ExitOutcome, KILL_GRACE, KillOutcome, Until};
use rustix::process::Signal;

use crate::fixture::{LONG, LocalAgent, is_alive, pids_in, shell, signal, wait_for};

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
fn a_killed_supervisor_is_a_lost_command() {
    let local = LocalAgent::start();
    let nothing = null();
    let begin = |script: &str| {
        let request = EncodedRequest::new(&shell(script), &ExecMarker::fresh(), false).unwrap();
        let mut command = local.agent().begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap();
        command.wait(&Until::after(LONG), |progress| progress.pid().is_some()).unwrap();
        command
    };
    let mut command = begin("sleep 300");
    let leader = command.progress().pid().unwrap();
    signal(command.host_pid().unwrap(), Signal::KILL);
    command.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    assert!(matches!(command.progress().command_end(), Some(CommandEnd::Lost)));
    assert!(is_alive(leader), "nobody is there who could end it");
    signal(leader, Signal::KILL);

    // It ended in the middle of a call: neither an exit code nor a proof.
    let result = local.exec(&shell("kill -KILL $PPID; sleep 1; exit 0"), &Until::after(LONG)).unwrap();
    assert_eq!(result.outcome, ExitOutcome::Lost);
    let error = local
        .exec(&shell("sleep 0.3; kill -STOP $PPID; sleep 3"), &Until::after(Duration::from_millis(600)))
        .unwrap_err();
    assert!(matches!(error.kill_report().unwrap().outcome, KillOutcome::Unknown(_)), "{error}");
    for supervisor in local.children() {
        signal(supervisor, Signal::CONT);
    }
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
fn a_host_that_goes_away_at_any_time_leaves_nothing() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let nothing = null();
    let script = "setsid sleep 300 & echo $! > $$; exec sleep 300";
    let request = ExecRequest::builder(["sh", "-c", script]).workdir(home.path()).build().unwrap();
    let request = EncodedRequest::new(&request, &ExecMarker::fresh(), false).unwrap();
    for round in 0..100_u64 {
        let mut command = local.agent().begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap();
        std::thread::sleep(Duration::from_micros(round * 50));
        if round % 2 == 0 {
            command.withdraw();
            if !command.progress().is_begun() {
                assert!(matches!(command.progress().command_end(), Some(CommandEnd::NeverStarted)));
            }
        }
    }
    wait_for(|| local.children().is_empty());
    assert!(pids_in(home.path()).iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn a_large_request_is_taken_while_it_is_sent() {
    let local = LocalAgent::start();
    let nothing = null();
    let words: Vec<String> = (0..20).map(|_| "x".repeat(100_000)).collect();
    let request = ExecRequest::new(["true".to_owned()].into_iter().chain(words)).unwrap();
    let request = EncodedRequest::new(&request, &ExecMarker::fresh(), false).unwrap();
    // Given up after a part of it was sent.
    signal(local.process.pid(), Signal::STOP);
    let mut command = local.agent().begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap();
    command.withdraw();
    signal(local.process.pid(), Signal::CONT);
    assert!(matches!(command.progress().command_end(), Some(CommandEnd::NeverStarted)));
    let mut command = local.agent().begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap();
    command.wait(&Until::after(LONG), |progress| progress.command_end().is_some()).unwrap();
    assert!(matches!(command.progress().command_end(), Some(CommandEnd::Exited(_))));
}

#[test]
fn an_agent_older_than_the_users_takes_no_command() {
    let home = tempfile::tempdir().unwrap();
    let users = home.path().join("passwd");
    fs::write(&users, "root:x:0:0::/root:/bin/sh\n").unwrap();
    let script = format!("mount --bind {} /etc/passwd && exec \"$@\"", users.display());
    let words = ["unshare", "--mount", "--map-root-user", "sh", "-c", &script, "sh"];
    let local = LocalAgent::start_with(&words, &[]);
    assert!(local.sh("exit 0").success());
    fs::write(&users, "root:x:0:0::/root:/bin/sh\nnew:x:1:1::/:/bin/sh\n").unwrap();
    let error = local.exec(&shell("exit 0"), &Until::after(LONG)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error}");
    assert!(error.to_string().contains(&AgentError::Outdated.to_string()), "{error}");
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

fn null() -> File {
    File::options().read(true).write(true).open("/dev/null").unwrap()
}
