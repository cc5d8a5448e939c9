//! Nothing is left behind: descriptors, threads and children are counted before and after. One test
//! function, because the counts are those of the whole test process.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use rt_process::{
    Child, ChildStdio, ExitStatus, LineStream, Output, ProcessError, ProcessSpec, Program, Streams, capture,
    procfs, with_process,
};
use rt_protocol::{CancelToken, Interruption, OutputLimit, Pull, Sink, Source, Until};

const LIMIT: OutputLimit = OutputLimit::bytes(1024);

#[derive(Debug, PartialEq, Eq)]
struct Counts {
    descriptors: usize,
    threads: usize,
    children: usize,
}

fn count() -> Counts {
    let entries = |path: &str| fs::read_dir(path).unwrap().count();
    let own = std::process::id();
    Counts {
        descriptors: entries("/proc/self/fd"),
        threads: entries("/proc/self/task"),
        children: procfs::snapshot().unwrap().iter().filter(|entry| entry.parent == own).count(),
    }
}

/// A joined thread can appear in `/proc` for a moment after the join.
fn check(before: &Counts, what: &str) {
    let end = Instant::now() + Duration::from_secs(5);
    while count() != *before {
        assert!(Instant::now() < end, "{what}: {before:?} became {:?}", count());
        thread::sleep(Duration::from_millis(1));
    }
}

fn sh(script: &str) -> ProcessSpec {
    ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script])
}

fn run<'a>(script: &str, stdin: Source<'a>, sink: Sink<'a>) {
    let streams = Streams { stdin, stdout: Output::Bridge(sink), stderr: Output::Capture(LIMIT) };
    with_process(&sh(script), streams, |process| {
        assert!(process.drive(&Until::forever()).is_ok());
        process.finish();
    })
    .unwrap();
}

/// Panics on every write.
struct Bomb;

impl Write for Bomb {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("as planned")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A thousand children, each waited for, given up, ended or just dropped.
fn own_children() {
    let token = CancelToken::new();
    let until = Until::after(Duration::from_secs(600)).or_cancelled(&token);
    for number in 0..1000 {
        let script = if number % 2 == 0 { "sleep 1000 & exec sleep 1000" } else { "exit 3" };
        let stdio = if number % 3 == 0 { ChildStdio::null() } else { ChildStdio::piped() };
        let child = Child::spawn(&sh(script), stdio).unwrap();
        match number % 10 {
            1 | 3 => assert_eq!(child.wait(&until).unwrap(), Some(ExitStatus::Code(3))),
            2 | 4 => {
                assert_eq!(child.wait(&Until::after(Duration::ZERO).or_cancelled(&token)).unwrap(), None);
            }
            6 | 8 => assert!(child.end(Duration::from_secs(10)).unwrap().is_some()),
            _ => {}
        }
    }
}

#[test]
fn nothing_is_left_behind() {
    // The harness's own thread and what the first run sets up stay.
    run("cat", Source::reader(io::empty()), Sink::writer(io::sink()));
    let before = count();

    let token = CancelToken::new();
    let until = Until::after(Duration::from_secs(600)).or_cancelled(&token);
    for _ in 0..1000 {
        capture(&sh("exit 3"), Source::bytes("x"), LIMIT, LIMIT, &until).unwrap();
    }
    check(&before, "1,000 captures");

    for _ in 0..100 {
        run("cat", Source::reader(&b"hello"[..]), Sink::writer(io::sink()));
        let mut answer = Vec::new();
        run("cat", Source::bytes("hello"), Sink::borrowed(&mut answer));
        assert_eq!(answer, b"hello");
        let (source, feeder) = io::pipe().unwrap();
        let (reader, sink) = io::pipe().unwrap();
        drop(feeder);
        run("echo hello", Source::descriptor(source), Sink::descriptor(sink));
        run(
            "echo hello",
            Source::empty(),
            Sink::borrowed_descriptor(fs::File::create("/dev/null").unwrap().as_fd()),
        );
        drop(reader);
    }
    check(&before, "400 bridges");

    let missing = tempfile::tempdir().unwrap();
    for _ in 0..100 {
        let mut answer = Vec::new();
        let streams = Streams {
            stdin: Source::reader(io::repeat(0)),
            stdout: Output::Bridge(Sink::borrowed(&mut answer)),
            stderr: Output::Bridge(Sink::writer(io::sink())),
        };
        let refused = with_process(&sh("true").current_dir(missing.path().join("gone")), streams, |_| ());
        assert!(matches!(refused, Err(ProcessError::WorkingDirectory { .. })));
    }
    check(&before, "100 refused starts");

    for _ in 0..20 {
        let stopped = capture(
            &sh("sleep 1000 & exec sleep 1000"),
            Source::reader(io::repeat(0)),
            LIMIT,
            LIMIT,
            &Until::after(Duration::from_millis(5)),
        );
        assert!(matches!(stopped, Err(ProcessError::Interrupted { .. })));
        let mut lines = LineStream::spawn(&sh("echo hello; exec sleep 1000"), 100).unwrap();
        assert!(matches!(lines.pull(&Until::forever()).unwrap(), Pull::Item(_)));
        drop(lines);
        let streams = Streams {
            stdin: Source::reader(io::repeat(0)),
            stdout: Output::Bridge(Sink::writer(Bomb)),
            stderr: Output::Capture(LIMIT),
        };
        with_process(&sh("echo hello; exec sleep 1000"), streams, |process| {
            assert!(matches!(process.drive(&Until::forever()), Err(Interruption::SinkFailed(..))));
        })
        .unwrap();
        with_process(&sh("head -c 200000 /dev/zero"), Streams::captured(LIMIT, LIMIT), |process| {
            process.detach();
        })
        .unwrap();
    }
    check(&before, "stopped, dropped, failed and detached processes");

    own_children();
    check(&before, "1,000 owned children");

    for _ in 0..5 {
        let mut answer = Vec::new();
        let streams = Streams {
            stdin: Source::reader(io::repeat(0)),
            stdout: Output::Bridge(Sink::borrowed(&mut answer)),
            stderr: Output::Capture(LIMIT),
        };
        let body = || with_process(&sh("sleep 1000 & exec sleep 1000"), streams, |_| panic!("as planned"));
        assert!(catch_unwind(AssertUnwindSafe(body)).is_err());
    }
    check(&before, "bodies that panic");

    // A blocking reader and writer stay on their threads until they are released; then they are
    // gone too.
    let (stuck_source, feeder) = io::pipe().unwrap();
    let (reader, stuck_sink) = io::pipe().unwrap();
    let streams = Streams {
        stdin: Source::reader(stuck_source),
        stdout: Output::Bridge(Sink::writer(stuck_sink)),
        stderr: Output::Capture(LIMIT),
    };
    with_process(&sh("yes"), streams, |process| {
        assert!(matches!(
            process.drive(&Until::after(Duration::from_millis(50))),
            Err(Interruption::Stopped(_))
        ));
        process.end(Duration::from_secs(1));
    })
    .unwrap();
    drop((feeder, reader));
    check(&before, "a reader and a writer that blocked");
}
