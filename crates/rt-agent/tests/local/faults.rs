//! Processes and sockets killed, stopped or closed at the wrong moment: no false status, no command
//! that runs twice or late.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::time::Duration;

use rt_agent::{AgentError, CommandEnd, EncodedRequest, Progress};
use rt_process::ExecMarker;
use rt_protocol::{ErrorKind, ExecRequest, ExitOutcome, KillOutcome, Until};
use rustix::process::Signal;

use crate::fixture::{LONG, LocalAgent, is_alive, pids_in, shell, signal, wait_for};

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
    let supervisor = rt_process::procfs::entry(leader).unwrap().unwrap().parent;
    signal(supervisor, Signal::KILL);
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
    if !crate::IS_MULTIPLEXED {
        signal(local.process.pid(), Signal::STOP);
    }
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

fn null() -> File {
    File::options().read(true).write(true).open("/dev/null").unwrap()
}
