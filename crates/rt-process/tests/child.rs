//! An owned child: its pipes, several waiting threads, ending it, and dropping it in every state.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]
#![cfg(target_os = "linux")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rt_process::{Child, ChildStdio, ExitStatus, ProcessError, ProcessSpec, Program, procfs};
use rt_protocol::{CancelToken, KILL_GRACE, Until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const TERM: ExitStatus = ExitStatus::Signal(15);
const KILL: ExitStatus = ExitStatus::Signal(9);

fn sh(script: &str) -> ProcessSpec {
    ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script])
}

fn start(script: &str) -> Child {
    Child::spawn(&sh(script), ChildStdio::null()).unwrap()
}

/// Starts a script that reports when it is ready, and waits for that.
fn start_ready(script: &str) -> Child {
    let mut child =
        Child::spawn(&sh(script), ChildStdio { stdout: Stdio::piped(), ..ChildStdio::null() }).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn soon() -> Until {
    Until::after(Duration::from_secs(20))
}

/// Returns whether the leader was reaped and no member of its group is alive. Orphans are reaped by
/// others, some time later.
fn is_gone(group: u32) -> bool {
    let entries = procfs::snapshot().unwrap();
    !entries.iter().any(|entry| entry.pid == group || entry.group == group && !entry.is_zombie)
}

#[test]
fn pipes_are_plain_descriptors() {
    let mut child = Child::spawn(&sh("cat; echo bye >&2; exit 7"), ChildStdio::piped()).unwrap();
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("hello", "bye\n"));
    assert_eq!(child.wait(&soon()).unwrap(), Some(ExitStatus::Code(7)));
    assert_eq!(child.try_wait().unwrap(), Some(ExitStatus::Code(7)));
}

#[test]
fn a_descriptor_is_handed_on_as_it_is() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let stdio = ChildStdio { stdin: std::os::fd::OwnedFd::from(theirs).into(), ..ChildStdio::null() };
    let child = Child::spawn(&sh("echo hello >&0"), stdio).unwrap();
    let mut text = String::new();
    (&ours).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello\n");
    assert!(child.stdin.is_none());
    assert_eq!(child.wait(&soon()).unwrap(), Some(ExitStatus::Code(0)));
}

#[test]
fn a_failed_start_is_told_as_everywhere() {
    let missing = tempfile::tempdir().unwrap();
    let spec = sh("true").current_dir(missing.path().join("gone"));
    let refused = Child::spawn(&spec, ChildStdio::piped());
    assert!(matches!(refused, Err(ProcessError::WorkingDirectory { .. })), "{refused:?}");
}

#[test]
fn waiting_ends_with_the_limit_and_starts_anew() {
    let child = start("exec sleep 1000");
    assert_eq!(child.try_wait().unwrap(), None);
    let begun = Instant::now();
    assert_eq!(child.wait(&Until::after(Duration::from_millis(20))).unwrap(), None);
    assert!(begun.elapsed() >= Duration::from_millis(20));
    let token = CancelToken::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| child.wait(&Until::cancelled(&token)).unwrap());
        token.cancel();
        assert_eq!(waiting.join().unwrap(), None);
    });
    assert_eq!(child.end(KILL_GRACE).unwrap(), Some(TERM));
}

#[test]
fn the_pidfd_tells_the_exit_before_and_after_it_was_reaped() {
    let mut child = Child::spawn(&sh("read line; exit 3"), ChildStdio::piped()).unwrap();
    let readable = |child: &Child, millis: i64| {
        let mut fds = [PollFd::from_borrowed_fd(child.pidfd().unwrap(), PollFlags::IN)];
        let timeout = Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 };
        poll(&mut fds, Some(&timeout)).unwrap() == 1
    };
    assert!(!readable(&child, 20));
    drop(child.stdin.take());
    assert!(readable(&child, 20_000));
    assert_eq!(child.try_wait().unwrap(), Some(ExitStatus::Code(3)));
    assert!(readable(&child, 0));
}

#[test]
fn every_waiting_thread_gets_the_status() {
    // Often, because one thread may see the exit while another is about to wait for it.
    for _ in 0..200 {
        let child = start("exit 5");
        thread::scope(|scope| {
            let waiters: Vec<_> =
                (0..4).map(|_| scope.spawn(|| child.wait(&Until::forever()).unwrap())).collect();
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Some(ExitStatus::Code(5)));
            }
        });
        assert!(is_gone(child.pid()));
    }
}

#[test]
fn a_thread_that_ends_it_wakes_those_who_wait() {
    let child = start("sleep 1000 & exec sleep 1000");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| child.wait(&soon()).unwrap());
        assert_eq!(child.end(KILL_GRACE).unwrap(), Some(TERM));
        assert_eq!(waiter.join().unwrap(), Some(TERM));
    });
    assert!(is_gone(child.pid()));
}

#[test]
fn a_waiter_that_sees_the_exit_does_not_spare_the_rest_of_the_group() {
    // The leader exits on TERM and its child does not: KILL must find the group although another
    // thread always waits.
    let script = "(trap '' TERM; echo ready; while :; do sleep 1000; done) & exec sleep 1000";
    for _ in 0..20 {
        let child = start_ready(script);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| child.wait(&soon()).unwrap());
            assert_eq!(child.end(Duration::from_millis(50)).unwrap(), Some(TERM));
            assert_eq!(waiter.join().unwrap(), Some(TERM));
        });
        assert!(is_gone(child.pid()));
    }
}

#[test]
fn two_threads_end_it_at_once_and_the_shorter_grace_counts() {
    let child = start_ready("trap '' TERM; echo ready; while :; do sleep 1000; done");
    let begun = Instant::now();
    thread::scope(|scope| {
        let patient = scope.spawn(|| child.end(Duration::from_secs(60)).unwrap());
        assert_eq!(child.end(Duration::from_millis(20)).unwrap(), Some(KILL));
        assert_eq!(patient.join().unwrap(), Some(KILL));
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(is_gone(child.pid()));
}

#[test]
fn what_a_child_left_behind_by_itself_is_not_signalled() {
    let mut child = Child::spawn(
        &sh("sleep 1000 & echo $!"),
        ChildStdio { stdout: Stdio::piped(), ..ChildStdio::null() },
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(child.wait(&soon()).unwrap(), Some(ExitStatus::Code(0)));
    assert_eq!(child.end(Duration::ZERO).unwrap(), Some(ExitStatus::Code(0)));
    drop(child);
    let left = procfs::entry(line.trim().parse().unwrap()).unwrap().unwrap();
    assert!(!left.is_zombie);
    assert!(procfs::signal(&left, rt_protocol::Signal::KILL).unwrap());
}

#[test]
fn a_dropped_child_is_ended_with_its_group_and_reaped() {
    let child = start("sleep 1000 & exec sleep 1000");
    let pid = child.pid();
    drop(child);
    assert!(is_gone(pid));
}

#[test]
fn a_dropped_child_that_ignores_term_is_killed_after_the_grace() {
    let child = start_ready("trap '' TERM; echo ready; while :; do sleep 1000; done");
    let (pid, begun) = (child.pid(), Instant::now());
    drop(child);
    assert!(begun.elapsed() >= KILL_GRACE, "{:?}", begun.elapsed());
    assert!(is_gone(pid));
}

#[test]
fn a_dropped_child_is_not_waited_for_because_nobody_reads_it() {
    // On TERM it writes more than a pipe holds.
    let script = "trap 'head -c 300000 /dev/zero; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let child = start_ready(script);
    let (pid, begun) = (child.pid(), Instant::now());
    drop(child);
    assert!(begun.elapsed() < KILL_GRACE, "{:?}", begun.elapsed());
    assert!(is_gone(pid));
}

#[test]
fn a_panic_ends_what_it_drops() {
    let mut pid = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let child = start("exec sleep 1000");
        pid = child.pid();
        panic!("as planned");
    }));
    assert!(panicked.is_err());
    assert!(is_gone(pid));
}

#[test]
fn a_status_that_somebody_else_took_is_an_error_and_no_code() {
    let child = start("exit 3");
    let pid = rustix::process::Pid::from_raw(child.pid().cast_signed()).unwrap();
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), rustix::process::WaitIdOptions::EXITED)
        .unwrap();
    let lost = rustix::io::Errno::CHILD.raw_os_error();
    assert_eq!(child.wait(&soon()).unwrap_err().raw_os_error(), Some(lost));
    assert_eq!(child.end(KILL_GRACE).map_err(|error| error.raw_os_error()), Err(Some(lost)));
}

#[test]
fn it_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let child = start("exit 0");
    shared(&child);
    let _: io::Result<Option<ExitStatus>> = child.wait(&soon());
}
