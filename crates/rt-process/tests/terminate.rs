//! How processes end: by themselves, by a limit, with descendants that stay behind or ignore TERM.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rt_process::{
    ExitStatus, Finished, Output, Process, ProcessError, ProcessSpec, Program, Streams, capture, procfs,
    with_process,
};
use rt_protocol::{
    CancelToken, Interruption, KILL_GRACE, OutputLimit, Sink, Source, StreamEnd, Until, UntilError,
};

const ALL: OutputLimit = OutputLimit::UNLIMITED;

fn sh(script: &str) -> ProcessSpec {
    ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script])
}

fn run(script: &str, until: &Until) -> Result<Finished, ProcessError> {
    capture(&sh(script), Source::empty(), ALL, ALL, until)
}

fn soon() -> Until {
    Until::after(Duration::from_secs(20))
}

fn with_captured<T>(script: &str, body: impl FnOnce(&mut Process<'_>) -> T) -> T {
    with_process(&sh(script), Streams::captured(ALL, ALL), body).unwrap()
}

/// Drives until the process has written something, without a fixed sleep.
fn wait_for_output(process: &mut Process<'_>, ready: &mpsc::Receiver<()>) {
    while ready.try_recv().is_err() {
        assert!(matches!(
            process.drive(&Until::after(Duration::from_millis(5))),
            Err(Interruption::Stopped(_))
        ));
    }
}

/// Reports each write.
struct Gate(mpsc::Sender<()>);

impl io::Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `body` once the script has written its first bytes to stdout.
fn once_it_speaks<T>(script: &str, body: impl FnOnce(&mut Process<'_>) -> T) -> T {
    let (bell, ready) = mpsc::channel();
    let streams = Streams {
        stdin: Source::empty(),
        stdout: Output::Tee(Sink::writer(Gate(bell)), ALL),
        stderr: Output::Capture(ALL),
    };
    with_process(&sh(script), streams, |process| {
        wait_for_output(process, &ready);
        body(process)
    })
    .unwrap()
}

fn alive_in_group(group: u32) -> usize {
    procfs::snapshot().unwrap().iter().filter(|entry| entry.group == group && !entry.is_zombie).count()
}

fn wait_until(mut true_now: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !true_now() {
        assert!(Instant::now() < end, "it does not come true");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn codes_and_signals_are_told_apart() {
    for code in [0, 1, 125, 137, 255] {
        assert_eq!(run(&format!("exit {code}"), &soon()).unwrap().status, Some(ExitStatus::Code(code)));
    }
    for signal in [9, 15, 6] {
        let finished = run(&format!("kill -{signal} $$"), &soon()).unwrap();
        assert_eq!(finished.status, Some(ExitStatus::Signal(signal)));
    }
}

#[test]
fn a_limit_that_is_over_starts_nothing() {
    match run("echo hello", &Until::after(Duration::ZERO)) {
        Err(ProcessError::Interrupted {
            interruption: Interruption::Stopped(UntilError::DeadlineExceeded),
            finished,
        }) => {
            assert_eq!((finished.pid, finished.status), (None, None));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deadline_ends_the_process_and_keeps_what_it_said() {
    let start = Instant::now();
    match run("echo first; echo second >&2; exec sleep 1000", &Until::after(Duration::from_millis(200))) {
        Err(ProcessError::Interrupted {
            interruption: Interruption::Stopped(UntilError::DeadlineExceeded),
            finished,
        }) => {
            assert_eq!(finished.status, Some(ExitStatus::Signal(15)));
            assert_eq!(finished.stdout_capture, "first\n");
            assert_eq!(finished.stderr_capture, "second\n");
        }
        other => panic!("{other:?}"),
    }
    // TERM was enough, so none of the grace is spent.
    assert!(start.elapsed() < Duration::from_millis(200) + KILL_GRACE / 2, "{:?}", start.elapsed());
}

#[test]
fn what_is_said_on_term_is_still_delivered() {
    let finished =
        once_it_speaks("trap 'echo bye; exit 7' TERM; echo hi; while :; do sleep 0.01; done", |process| {
            process.end(Duration::from_secs(10));
            process.finish()
        });
    assert_eq!(finished.status, Some(ExitStatus::Code(7)));
    assert_eq!(finished.stdout_capture, "hi\nbye\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_background_child_that_ignores_term_is_killed() {
    let grace = Duration::from_millis(300);
    let script = "(trap '' TERM; echo ready; while :; do sleep 1000; done) & sleep 1000";
    let (pid, took, status) = once_it_speaks(script, |process| {
        let start = Instant::now();
        process.end(grace);
        (process.pid(), start.elapsed(), process.finish().status)
    });
    assert_eq!(status, Some(ExitStatus::Signal(15)));
    assert!(took >= grace && took < grace + Duration::from_secs(1), "{took:?}");
    assert_eq!(alive_in_group(pid), 0);
}

#[test]
fn a_leader_that_ignores_term_is_killed_after_the_grace() {
    let grace = Duration::from_millis(200);
    once_it_speaks("trap '' TERM; echo ready; while :; do sleep 1000; done", |process| {
        let start = Instant::now();
        process.end(grace);
        assert!(start.elapsed() >= grace && start.elapsed() < grace + Duration::from_secs(1));
        assert_eq!(process.finish().status, Some(ExitStatus::Signal(9)));
        // Again, and nothing happens.
        let start = Instant::now();
        process.end(Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(1));
        assert!(process.has_exited());
        assert_eq!(process.finish().status, Some(ExitStatus::Signal(9)));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_descendant_that_holds_the_output_is_left_alone() {
    // More bytes than a pipe holds, so that some are still in it when the leader exits.
    let script = "sleep 1000 & head -c 300000 /dev/zero; echo end";
    let start = Instant::now();
    let finished = run(script, &soon()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(finished.status, Some(ExitStatus::Code(0)));
    assert_eq!(finished.stdout.end, StreamEnd::LeftOpen);
    assert_eq!(finished.stdout.bytes, 300_004);
    assert!(finished.stdout_capture.as_bytes().ends_with(b"end\n"));
    assert_eq!(finished.stderr.end, StreamEnd::LeftOpen);

    let group = finished.pid.unwrap();
    let left: Vec<_> = procfs::snapshot().unwrap().into_iter().filter(|entry| entry.group == group).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(procfs::signal(&left[0], rt_protocol::Signal::KILL).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn a_descendant_that_floods_the_output_delays_nobody_either() {
    let finished = run("yes & exit 3", &soon()).unwrap();
    assert_eq!((finished.status, finished.stdout.end), (Some(ExitStatus::Code(3)), StreamEnd::LeftOpen));
    assert!(finished.elapsed < Duration::from_secs(5), "{:?}", finished.elapsed);
    // It wrote to a closed pipe.
    wait_until(|| alive_in_group(finished.pid.unwrap()) == 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_deadline_within_the_drain_finds_a_finished_process() {
    with_captured("sleep 1000 & echo hello", |process| {
        wait_until(|| process.has_exited());
        // The end of the limit comes long before the drain's.
        assert!(process.drive(&Until::after(Duration::ZERO)).is_ok());
        let finished = process.finish();
        assert_eq!(finished.status, Some(ExitStatus::Code(0)));
        assert_eq!(
            (&*finished.stdout_capture.text(), finished.stdout_capture.end()),
            ("hello\n", StreamEnd::LeftOpen)
        );
        assert_eq!(finished.stdout.end, StreamEnd::LeftOpen);
        for entry in procfs::snapshot().unwrap() {
            if entry.group == process.pid() {
                procfs::signal(&entry, rt_protocol::Signal::KILL).unwrap();
            }
        }
    });
}

#[test]
fn a_cancel_from_another_thread_wakes_at_once() {
    let token = CancelToken::new();
    let canceller = token.clone();
    let (start, took) = with_captured("exec sleep 1000", |process| {
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            let start = Instant::now();
            canceller.cancel();
            start
        });
        assert!(matches!(
            process.drive(&Until::cancelled(&token)),
            Err(Interruption::Stopped(UntilError::Cancelled))
        ));
        let end = Instant::now();
        let start = thread.join().unwrap();
        process.end(KILL_GRACE);
        (start, end.saturating_duration_since(start))
    });
    assert!(took < Duration::from_millis(100), "{took:?} since {start:?}");
}

#[test]
fn a_process_that_was_stopped_goes_on_where_it_stood() {
    with_captured("echo one; sleep 0.2; echo two", |process| {
        let mut stops = 0;
        while let Err(Interruption::Stopped(UntilError::DeadlineExceeded)) =
            process.drive(&Until::after(Duration::from_millis(10)))
        {
            stops += 1;
        }
        assert!(stops > 1);
        let finished = process.finish();
        assert_eq!(finished.stdout_capture, "one\ntwo\n");
        assert_eq!((finished.stdout.end, finished.status), (StreamEnd::Eof, Some(ExitStatus::Code(0))));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_body_that_forgets_or_panics_leaves_no_process() {
    let pid = with_captured("sleep 1000 & exec sleep 1000", |process| process.pid());
    assert_eq!(alive_in_group(pid), 0);
    assert_eq!(procfs::entry(pid).unwrap(), None);

    let (send, receive) = mpsc::channel();
    let panicked = thread::spawn(move || {
        with_captured("sleep 1000 & exec sleep 1000", |process| {
            send.send(process.pid()).unwrap();
            panic!("as planned");
        })
    });
    let pid = receive.recv().unwrap();
    assert!(panicked.join().is_err());
    assert_eq!(alive_in_group(pid), 0);
    assert_eq!(procfs::entry(pid).unwrap(), None);
}

#[cfg(target_os = "linux")]
#[test]
fn a_detached_process_finishes_by_itself_and_is_reaped() {
    let directory = tempfile::tempdir().unwrap();
    let done = directory.path().join("done");
    // More than a pipe holds, so that it ends only if its output is read.
    let script = format!(
        "sleep 0.1; head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; echo > {}",
        done.display()
    );
    let pid = with_captured(&script, |process| {
        process.detach();
        assert!(process.drive(&Until::forever()).is_ok());
        assert_eq!(process.finish().status, None);
        process.end(Duration::ZERO);
        process.pid()
    });
    assert!(procfs::entry(pid).unwrap().is_some());
    wait_until(|| done.exists() && procfs::entry(pid).unwrap().is_none());
}

#[test]
fn what_was_not_stopped_has_no_status_yet() {
    with_captured("exec sleep 1000", |process| {
        assert!(!process.has_exited());
        assert_eq!(process.finish().status, None);
        process.end(KILL_GRACE);
        assert_eq!(process.finish().status, Some(ExitStatus::Signal(15)));
    });
}
