//! A source that a caller watches beside a process: it is called when it is ready, and can hold
//! back stdin.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use rt_process::{Finished, Output, PollSource, Process, ProcessSpec, Program, Streams, with_process};
use rt_protocol::{OutputLimit, Source, StreamEnd, Until};

/// Releases stdin when its pipe has bytes, or when its time is over.
struct Gate {
    pipe: PipeReader,
    until: Instant,
    is_open: bool,
    /// What the process had written by then.
    bytes_before: u64,
}

impl PollSource for Gate {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_open).then(|| self.pipe.as_fd())
    }

    fn ready(&mut self, process: &Process<'_>) {
        // Called at the exit too.
        if self.is_open || process.has_exited() {
            return;
        }
        self.pipe.read_exact(&mut [0]).unwrap();
        (self.is_open, self.bytes_before) = (true, process.output_bytes());
    }

    fn holds_stdin(&self) -> Option<Duration> {
        if self.is_open { None } else { self.until.checked_duration_since(Instant::now()) }
    }
}

/// Runs `cat` with a source that holds stdin for this time, and that opens a while after the
/// process is ready, if `opens`.
fn behind_a_gate(source: Source<'_>, time: Duration, opens: bool) -> (Gate, Finished) {
    let (pipe, mut opener) = io::pipe().unwrap();
    let mut gate = Gate { pipe, until: Instant::now() + time, is_open: false, bytes_before: 0 };
    let capture = || Output::Capture(OutputLimit::UNLIMITED);
    let streams = Streams { stdin: source, stdout: capture(), stderr: capture() };
    let directory = tempfile::tempdir().unwrap();
    let is_ready = directory.path().join("is-ready");
    let spec = ProcessSpec::new(&Program::find("sh").unwrap())
        .args(["-c", "echo ready; touch \"$0\"; cat"])
        .arg(&is_ready);
    let opener = thread::spawn(move || {
        while opens && !is_ready.exists() {
            thread::sleep(Duration::from_millis(10));
        }
        // Long enough for bytes that are not held back.
        thread::sleep(Duration::from_millis(100));
        if opens {
            opener.write_all(b"x").unwrap();
        }
        opener
    });
    let finished = with_process(&spec, streams, |process| {
        let drive = process.drive_with(&Until::after(Duration::from_secs(60)), &mut gate);
        assert!(drive.is_ok(), "{drive:?}");
        process.finish()
    });
    opener.join().unwrap();
    (gate, finished.unwrap())
}

#[test]
fn a_held_stdin_moves_only_when_it_is_released_and_then_whole() {
    let piped = || {
        let (source, mut feeder) = io::pipe().unwrap();
        feeder.write_all(b"word\n").unwrap();
        Source::descriptor(source)
    };
    for source in [Source::bytes("word\n"), Source::reader(&b"word\n"[..]), piped()] {
        let (gate, finished) = behind_a_gate(source, Duration::from_secs(60), true);
        assert_eq!(gate.bytes_before, 6, "{finished:?}");
        assert_eq!(finished.stdout_capture, "ready\nword\n");
        assert_eq!((finished.stdin.bytes, finished.stdin.end), (5, StreamEnd::Eof));
    }
}

#[test]
fn a_stdin_that_is_held_is_let_go_when_its_time_is_over() {
    let (gate, finished) = behind_a_gate(Source::bytes("word\n"), Duration::from_millis(100), false);
    assert!(!gate.is_open);
    assert_eq!(finished.stdout_capture, "ready\nword\n");
}
