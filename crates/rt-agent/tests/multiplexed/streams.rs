//! What an agent behind one stream does otherwise, and what its two sides do about each other's
//! faults.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rt_agent::{AgentError, CommandEnd, EncodedRequest, Multiplexer, Progress, Supervised};
use rt_process::ExecMarker;
use rt_protocol::sync::Waker;
use rt_protocol::{
    CancelToken, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, KillOutcome, OutputLimit, Sink, Source,
    Until,
};
use rustix::process::Signal;

use crate::fixture::{LONG, LocalAgent, is_alive, pids_in, shell, signal, wait_for};

#[test]
fn a_killed_agent_takes_its_commands_along() {
    let mut local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let script = "setsid sleep 300 & echo $! > orphan; echo $$ > begun; exec sleep 300";
    let request = ExecRequest::builder(["sh", "-c", script]).workdir(home.path()).build().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| local.exec(&request, &Until::after(LONG)));
        wait_for(|| pids_in(home.path()).len() == 2);
        signal(local.process.pid(), Signal::KILL);
        assert_eq!(call.join().unwrap().unwrap().outcome, ExitOutcome::Lost);
    });
    wait_for(|| pids_in(home.path()).iter().all(|pid| !is_alive(*pid)));
    wait_for(|| !local.agent().is_alive());
    let error = local.exec(&shell("exit 0"), &Until::after(LONG)).unwrap_err();
    assert!(error.to_string().contains(&AgentError::Gone.to_string()), "{error}");
    local.is_killed = true;
}

#[test]
fn a_stopped_agent_ends_what_was_given_up_and_nobody_is_told_that_it_never_ran() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let script = "echo $$ > $$; exec sleep 300";
    let request = ExecRequest::builder(["sh", "-c", script]).workdir(home.path()).build().unwrap();
    signal(local.process.pid(), Signal::STOP);
    let error = local.exec(&request, &Until::after(Duration::from_millis(20))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(!error.never_started(), "{error}");
    assert!(matches!(error.kill_report().unwrap().outcome, KillOutcome::Unknown(_)), "{error}");
    signal(local.process.pid(), Signal::CONT);
    assert!(local.sh("exit 0").success());
    wait_for(|| local.children().is_empty());
    assert!(pids_in(home.path()).iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn an_agent_without_descriptors_ends_with_its_commands() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let script = format!("echo $$ > $$; prlimit --nofile=0:0 --pid {}; exec sleep 300", local.process.pid());
    let request = ExecRequest::builder(["sh", "-c", &script]).workdir(home.path()).build().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| local.exec(&request, &Until::after(LONG)));
        wait_for(|| pids_in(home.path()).len() == 1);
        thread::sleep(Duration::from_millis(100));
        // It notices when there is something to do.
        let outcome = local.exec(&shell("exit 0"), &Until::after(LONG)).map(|result| result.outcome);
        assert!(matches!(outcome, Ok(ExitOutcome::Lost) | Err(_)), "{outcome:?}");
        assert_eq!(call.join().unwrap().unwrap().outcome, ExitOutcome::Lost);
    });
    wait_for(|| pids_in(home.path()).iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn more_commands_than_fit_wait_for_their_turn() {
    let local = LocalAgent::start();
    thread::scope(|scope| {
        let running: Vec<_> = (0..300)
            .map(|number| {
                let (local, code) = (&local, number % 250);
                scope.spawn(move || {
                    let result = local.sh(&format!("echo {number}; sleep 0.5; exit {code}"));
                    assert_eq!(result.outcome, ExitOutcome::Code(code));
                    assert_eq!(result.stdout.as_bytes(), format!("{number}\n").as_bytes());
                })
            })
            .collect();
        for call in running {
            call.join().unwrap();
        }
    });
    wait_for(|| local.children().is_empty());
}

#[test]
fn one_that_is_given_up_before_its_turn_never_starts() {
    let local = LocalAgent::start();
    let cancel = CancelToken::new();
    thread::scope(|scope| {
        for _ in 0..200 {
            let until = Until::after(LONG).or_cancelled(&cancel);
            let local = &local;
            scope.spawn(move || local.exec(&shell("exec sleep 300"), &until).unwrap_err());
        }
        wait_for(|| local.children().len() == 200);
        let error = local.exec(&shell("exit 0"), &Until::after(Duration::from_millis(300))).unwrap_err();
        assert!(error.never_started() && error.kind() == ErrorKind::TimedOut, "{error}");
        cancel.cancel();
    });
    assert!(local.sh("exit 0").success());
}

#[test]
fn a_command_whose_output_nobody_takes_stops_no_other() {
    let local = LocalAgent::start();
    let nothing = null();
    let (reader, writer) = std::io::pipe().unwrap();
    let request = EncodedRequest::new(&shell("exec cat /dev/zero"), &ExecMarker::fresh(), false).unwrap();
    let streams = [nothing.as_fd(), writer.as_fd(), nothing.as_fd()];
    let mut flood = local.agent().begin(&request, streams, &Until::after(LONG)).unwrap();
    drop(writer);
    flood.wait(&Until::after(LONG), |progress| progress.pid().is_some()).unwrap();
    thread::sleep(Duration::from_millis(200));
    for _ in 0..20 {
        assert_eq!(local.sh("echo other").stdout.as_bytes(), b"other\n");
    }
    // Neither does one that takes no stdin.
    let begun = Instant::now();
    let stdio = ExecStdio::new(Source::bytes(vec![0; 8 << 20]), Sink::discard());
    let result = local.exec_stdio(&shell("sleep 0.3; exit 3"), stdio, &Until::after(LONG)).unwrap();
    assert_eq!(result.outcome, ExitOutcome::Code(3));
    assert!(begun.elapsed() < LONG);
    // When nobody can read it any more, the command is told by a signal.
    drop(reader);
    flood.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    let end = flood.progress().command_end();
    assert!(matches!(end, Some(CommandEnd::Exited(rt_process::ExitStatus::Signal(13)))), "{end:?}");
}

#[test]
fn the_last_output_comes_before_the_end() {
    let local = LocalAgent::start();
    for _ in 0..50 {
        // More than the windows, the pipes and the overdraft.
        let request = ExecRequest::builder(["sh", "-c", "head -c 600000 /dev/zero; echo end >&2; echo end"])
            .stdout_limit(OutputLimit::UNLIMITED)
            .build()
            .unwrap();
        let result = local.exec(&request, &Until::after(LONG)).unwrap();
        assert_eq!(result.stdout.as_bytes().len(), 600_004);
        assert_eq!(result.stderr.as_bytes(), b"end\n");
    }
}

/// An agent's hello.
fn hello() -> Vec<u8> {
    [&[0; 4][..], &3_u32.to_le_bytes(), &7_u32.to_le_bytes()].concat()
}

fn multiplexer() -> Multiplexer {
    let mut multiplexer = Multiplexer::new(Waker::new().unwrap());
    multiplexer.receive(&hello()).unwrap();
    multiplexer
}

fn begin(multiplexer: &Multiplexer) -> Supervised {
    let nothing = null();
    let request = EncodedRequest::new(&shell("exit 0"), &ExecMarker::fresh(), false).unwrap();
    let agent = multiplexer.agent().unwrap();
    agent.begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap()
}

#[test]
fn a_command_that_was_not_sent_has_not_run_and_one_that_was_is_lost() {
    let mut unsent = multiplexer();
    let mut command = begin(&unsent);
    unsent.advance();
    assert!(!unsent.is_idle() && !unsent.output().is_empty());
    drop(unsent);
    command.wait(&Until::after(LONG), |_| false).unwrap();
    assert!(matches!(command.progress().command_end(), Some(CommandEnd::NeverStarted)));

    let mut sent = multiplexer();
    let mut command = begin(&sent);
    sent.advance();
    sent.sent(1);
    let agent = sent.agent().unwrap().clone();
    drop(sent);
    command.wait(&Until::after(LONG), |_| false).unwrap();
    assert!(matches!(command.progress().command_end(), Some(CommandEnd::Lost)));
    assert!(!agent.is_alive());
    let request = EncodedRequest::new(&shell("exit 0"), &ExecMarker::fresh(), false).unwrap();
    let nothing = null();
    let refused = agent.begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap_err();
    assert!(matches!(refused, AgentError::Gone), "{refused}");
}

#[test]
fn a_stream_that_does_not_begin_with_this_hello_is_refused() {
    let mut other_version = hello();
    other_version[4] += 1;
    let credit = [&[5, 2, 0, 0][..], &[0; 8]].concat();
    for bytes in [other_version, credit, b"Last login: today\n".to_vec()] {
        let mut multiplexer = Multiplexer::new(Waker::new().unwrap());
        assert!(matches!(multiplexer.receive(&bytes), Err(AgentError::Incompatible)), "{bytes:?}");
        assert!(multiplexer.agent().is_none());
    }
}

#[test]
fn an_agent_that_sends_more_than_it_may_is_refused() {
    let mut multiplexer = multiplexer();
    let (reader, writer) = std::io::pipe().unwrap();
    let nothing = null();
    let request = EncodedRequest::new(&shell("exit 0"), &ExecMarker::fresh(), false).unwrap();
    let streams = [nothing.as_fd(), writer.as_fd(), nothing.as_fd()];
    let _command = multiplexer.agent().unwrap().begin(&request, streams, &Until::after(LONG)).unwrap();
    multiplexer.advance();
    let data = [&[2, 2, 0, 0, 0, 0, 0, 0][..], &(32_u32 << 10).to_le_bytes(), &vec![0; 32 << 10]].concat();
    let sent = (0..100).find(|_| multiplexer.receive(&data).is_err()).unwrap();
    // The window, the overdraft, and what the pipe has taken.
    assert!((10..=13).contains(&sent), "{sent}");
    drop(reader);
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let head = (0..10_u8, 0..5_u8, 0..3_u32, 0..70_u32).prop_map(|(kind, stream, command, value)| {
        let head = [&[kind, stream, 0, 0][..], &command.to_le_bytes(), &value.to_le_bytes()].concat();
        let payload = if kind == 2 { value as usize } else { 0 };
        [head, vec![1; payload]].concat()
    });
    prop_oneof![9 => head, 1 => proptest::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    /// Whatever a hostile agent sends: no panic, and each command comes to an end.
    #[test]
    fn a_host_survives_any_packets(packets in proptest::collection::vec(packet(), 0..40), cut in 1..50_usize) {
        let mut multiplexer = multiplexer();
        let mut commands: Vec<_> = (0..2).map(|_| begin(&multiplexer)).collect();
        multiplexer.advance();
        let output = multiplexer.output().len();
        multiplexer.sent(output);
        for part in packets.concat().chunks(cut) {
            if multiplexer.receive(part).is_err() {
                break;
            }
            multiplexer.advance();
        }
        drop(multiplexer);
        for command in &mut commands {
            command.wait(&Until::after(LONG), |_| false).unwrap();
            prop_assert!(command.progress().command_end().is_some());
        }
    }

    /// Whatever a host sends: the agent ends with the stream, and so does all that it has started.
    #[test]
    fn an_agent_survives_any_packets(packets in proptest::collection::vec(packet(), 0..40)) {
        let (process, to_agent, from_agent, home) = crate::fixture::start_raw(&[]);
        let reading = thread::spawn(move || std::io::copy(&mut File::from(from_agent), &mut std::io::sink()));
        // It may have ended before the last of it.
        let _ = std::io::Write::write_all(&mut File::from(to_agent), &packets.concat());
        let ended = process.wait(&Until::after(LONG)).unwrap();
        prop_assert_eq!(ended, Some(rt_process::ExitStatus::Code(0)));
        prop_assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "it has removed its file");
        reading.join().unwrap().unwrap();
    }
}

fn null() -> File {
    File::options().read(true).write(true).open("/dev/null").unwrap()
}
