//! A source beside a process, and sinks that are slower than it.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rt_process::{ExitStatus, Output, PollSource, Process, ProcessSpec, Program, Streams, with_process};
use rt_protocol::{Sink, Source, StreamEnd, Until};

const BYTES: u64 = 300_000;

/// A sink that reports its bytes, and accepts them when released, or after a long time.
struct Stuck {
    given: UnixStream,
    go: mpsc::Receiver<()>,
    is_open: bool,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_open {
            // The receiver is gone if the exit came first.
            let _ = self.given.write_all(b".");
            let _ = self.go.recv_timeout(Duration::from_secs(20));
            self.is_open = true;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Enlarges the pipes when the sink is stuck, and releases the sink when the process has exited.
struct Watcher {
    given: Option<UnixStream>,
    go: mpsc::Sender<()>,
    room: usize,
    /// What it saw at the exit: whether the process was blocked, and how many bytes were written.
    at_exit: Option<(bool, u64)>,
}

impl PollSource for Watcher {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.given.as_ref().map(AsFd::as_fd)
    }

    fn ready(&mut self, process: &Process<'_>) {
        if self.given.take().is_some() {
            while self.room > 0 && !process.may_be_blocked_on_output() {
                thread::sleep(Duration::from_millis(1));
            }
            process.grow_output_pipes(self.room);
        }
        if process.has_exited() {
            self.at_exit.get_or_insert((process.may_be_blocked_on_output(), process.output_bytes()));
            let _ = self.go.send(());
        }
    }
}

/// Runs a command whose sink is stuck until the exit is noticed; returns what was seen then.
fn at_exit(script: &str, room: usize) -> Option<(bool, u64)> {
    let (given, far_end) = UnixStream::pair().unwrap();
    let (go, told) = mpsc::channel();
    let mut sink = Stuck { given: far_end, go: told, is_open: false };
    let mut watcher = Watcher { given: Some(given), go, room, at_exit: None };
    let streams = Streams {
        stdin: Source::empty(),
        stdout: Output::Bridge(Sink::borrowed(&mut sink)),
        stderr: Output::Bridge(Sink::discard()),
    };
    let spec = ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script]);
    let finished = with_process(&spec, streams, |process| {
        assert!(process.drive_with(&Until::forever(), &mut watcher).is_ok());
        process.finish()
    });
    let finished = finished.unwrap();
    assert_eq!((finished.status, finished.stdout.end), (Some(ExitStatus::Code(0)), StreamEnd::Eof));
    let (_, written) = watcher.at_exit.unwrap();
    assert_eq!(written, finished.stdout.bytes, "all that was written is counted");
    watcher.at_exit
}

#[test]
fn an_exit_is_told_before_a_slow_sink_has_taken_the_output() {
    assert_eq!(at_exit("printf hello", 0), Some((false, 5)));
}

#[test]
fn grown_output_pipes_let_the_process_end() {
    let script = format!("head -c {BYTES} /dev/zero");
    assert_eq!(at_exit(&script, 1 << 20), Some((false, BYTES)));
}
