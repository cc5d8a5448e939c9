//! Streams that end early, fail, block or never end: each is reported once, and delays nothing
//! else.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

#[path = "fixture/bridged.rs"]
mod fixture;

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fixture::{ALL, bridged, sh, soon, streams};
use rt_process::{ExitStatus, Output, OutputStream, ProcessError, Streams, capture, with_process};
use rt_protocol::{Interruption, KILL_GRACE, Sink, Source, StreamEnd, Until};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

#[test]
fn a_process_that_does_not_read_is_no_error() {
    let finished = bridged("exit 3", Source::bytes(vec![b'x'; 1024 * 1024]), Sink::discard());
    assert_eq!((finished.status, finished.stdin.end), (Some(ExitStatus::Code(3)), StreamEnd::ReaderGone));
    let finished =
        bridged("exec <&-; echo hello; sleep 0.05", Source::reader(io::repeat(b'x')), Sink::discard());
    assert_eq!((finished.status, finished.stdin.end), (Some(ExitStatus::Code(0)), StreamEnd::ReaderGone));
    assert_eq!(finished.stdout.bytes, 6);
}

#[test]
fn the_end_of_a_source_is_the_end_of_stdin() {
    let finished = bridged("wc -c", Source::bytes(""), Sink::discard());
    assert_eq!((finished.stdin.bytes, finished.stdin.end), (0, StreamEnd::Eof));
    let finished = bridged("wc -c", Source::reader(io::empty()), Sink::discard());
    assert_eq!((finished.stdin.bytes, finished.stdin.end), (0, StreamEnd::Eof));
    let (source, feeder) = io::pipe().unwrap();
    drop(feeder);
    let finished = bridged("wc -c", Source::descriptor(source), Sink::discard());
    assert_eq!((finished.stdin.bytes, finished.stdin.end), (0, StreamEnd::Eof));
    let finished = bridged("wc -c", Source::empty(), Sink::discard());
    assert_eq!(finished.stdin.end, StreamEnd::Unused);
}

#[test]
fn a_file_that_cannot_be_spliced_is_read() {
    // proc(5): splice(2) fails on it, and nothing shows that beforehand.
    let own = File::open("/proc/self/environ").unwrap();
    let expected = std::fs::read("/proc/self/environ").unwrap().len() as u64;
    let finished = bridged("cat", Source::descriptor(own), Sink::discard());
    assert_eq!((finished.stdin.bytes, finished.stdin.end), (expected, StreamEnd::Eof));
    assert_eq!(finished.stdout.bytes, expected);
}

#[test]
fn no_more_of_a_file_is_taken_than_the_pipe_holds() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![b'x'; 1 << 20]).unwrap();
    file.rewind().unwrap();
    let source = Source::descriptor(file.try_clone().unwrap());
    let finished = bridged("head -c 1000 >/dev/null; sleep 0.05", source, Sink::discard());
    let offset = file.stream_position().unwrap();
    assert_eq!((finished.stdin.bytes, finished.stdin.end), (offset, StreamEnd::ReaderGone));
    // What `head` has read, and a pipe of Linux.
    assert!(offset <= 2 * (64 << 10), "{offset}");
}

#[test]
fn a_message_oriented_socket_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("started");
    let command = format!("touch {}; cat", mark.display());
    for kind in [SocketType::DGRAM, SocketType::SEQPACKET] {
        for as_source in [true, false] {
            let (near, _far) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
            let (stdin, stdout) = if as_source {
                (Source::descriptor(near), Output::Capture(ALL))
            } else {
                (Source::empty(), Output::Bridge(Sink::descriptor(near)))
            };
            let streams = Streams { stdin, stdout, stderr: Output::Capture(ALL) };
            let error = with_process(&sh(&command), streams, |_| ()).unwrap_err();
            assert!(matches!(error, ProcessError::UnsupportedFd { .. }), "{error:?}");
            assert!(error.to_string().contains("only a stream socket"), "{error}");
        }
    }
    assert!(!mark.exists());
}

#[test]
fn an_endless_source_ends_with_the_process() {
    let finished = bridged("head -c 100000 | wc -c", Source::reader(io::repeat(b'x')), Sink::discard());
    assert_eq!((finished.status, finished.stdin.end), (Some(ExitStatus::Code(0)), StreamEnd::ReaderGone));
    let zero = File::open("/dev/zero").unwrap();
    let finished = bridged("head -c 100000 | wc -c", Source::descriptor(zero), Sink::discard());
    assert_eq!((finished.status, finished.stdin.end), (Some(ExitStatus::Code(0)), StreamEnd::ReaderGone));
}

#[test]
fn a_reader_that_blocks_does_not_outlast_the_process() {
    let (source, feeder) = io::pipe().unwrap();
    let start = Instant::now();
    let finished = bridged("exit 5", Source::reader(source), Sink::discard());
    assert_eq!(finished.status, Some(ExitStatus::Code(5)));
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(feeder);
}

/// Reads as scripted, then fails or panics.
struct Broken(&'static [u8], bool);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            assert!(!self.1, "as planned");
            return Err(io::Error::other("the cable is cut"));
        }
        self.0.read(buffer)
    }
}

#[test]
fn a_failed_source_is_reported_once_and_never_as_its_end() {
    for panics in [false, true] {
        let streams = Streams {
            stdin: Source::reader(Broken(b"half", panics)),
            stdout: Output::Capture(ALL),
            stderr: Output::Capture(ALL),
        };
        with_process(&sh("cat; echo whole"), streams, |process| {
            match process.drive(&soon()) {
                Err(Interruption::SourceFailed(error)) => {
                    assert_eq!(error.to_string().contains("cable"), !panics);
                }
                other => panic!("{other:?}"),
            }
            // The process waits for more: it must not take this for the whole input.
            assert!(matches!(
                process.drive(&Until::after(Duration::from_millis(50))),
                Err(Interruption::Stopped(_))
            ));
            process.end(KILL_GRACE);
            let finished = process.finish();
            assert_eq!((finished.stdin.bytes, finished.stdin.end), (4, StreamEnd::Stopped));
            assert_eq!(finished.stdout_capture, "half");
        })
        .unwrap();
    }
    match capture(&sh("cat"), Source::reader(Broken(b"half", false)), ALL, ALL, &soon()) {
        Err(ProcessError::Interrupted { finished, interruption: Interruption::SourceFailed(_) }) => {
            assert_eq!(finished.stdin.bytes, 4);
        }
        other => panic!("{other:?}"),
    }
}

/// Accepts this many bytes, then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        // Zero is what `write_all` turns into an error.
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check_broken(sink: Sink<'_>) {
    with_process(&sh("echo one; sleep 0.02; yes; echo never"), streams(Source::empty(), sink), |process| {
        match process.drive(&soon()) {
            Err(Interruption::SinkFailed(OutputStream::Stdout, _)) => {}
            other => panic!("{other:?}"),
        }
        // Reported once, and the stream is drained from here on.
        assert!(matches!(
            process.drive(&Until::after(Duration::from_millis(20))),
            Err(Interruption::Stopped(_))
        ));
        process.end(KILL_GRACE);
        assert_eq!(process.finish().stdout.end, StreamEnd::Stopped);
    })
    .unwrap();
}

#[test]
fn a_sink_that_fails_is_said_once() {
    check_broken(Sink::writer(Full(1000)));
    check_broken(Sink::borrowed(&mut Full(0)));
    let (reader, pipe) = io::pipe().unwrap();
    drop(reader);
    check_broken(Sink::descriptor(pipe));
    let (peer, socket) = UnixStream::pair().unwrap();
    drop(peer);
    check_broken(Sink::descriptor(socket));
    check_broken(Sink::descriptor(File::open("/dev/null").unwrap()));
    if cfg!(target_os = "linux") {
        check_broken(Sink::descriptor(File::create("/dev/full").unwrap()));
    }
    let directory = tempfile::tempdir().unwrap();
    File::create(directory.path().join("file")).unwrap();
    // Open for reading only.
    check_broken(Sink::descriptor(File::open(directory.path().join("file")).unwrap()));
}

/// Blocks in its first write until released.
struct Stuck(mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_blocks_delays_neither_the_deadline_nor_the_end() {
    let (let_go, stuck) = mpsc::channel();
    let start = Instant::now();
    let streams = streams(Source::empty(), Sink::writer(Stuck(stuck)));
    let finished = with_process(&sh("echo stuck; yes fill the pipe"), streams, |process| {
        assert!(matches!(
            process.drive(&Until::after(Duration::from_millis(200))),
            Err(Interruption::Stopped(_))
        ));
        process.end(KILL_GRACE);
        process.finish()
    })
    .unwrap();
    assert!(start.elapsed() < Duration::from_millis(200) + KILL_GRACE, "{:?}", start.elapsed());
    assert_eq!((finished.stdout.bytes, finished.stdout.end), (0, StreamEnd::Stopped));
    drop(let_go);
}
