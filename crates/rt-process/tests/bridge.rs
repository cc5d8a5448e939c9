//! Bytes between a process and every kind of source and sink: exact, in time, and never more than
//! requested.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

#[path = "fixture/bridged.rs"]
mod fixture;

use std::io::{self, Read, Seek, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fixture::{ALL, bridged, sh, soon, streams};
use rt_process::{ExitStatus, Output, Process, Streams, with_process};
use rt_protocol::{
    CancelToken, Interruption, KILL_GRACE, LineEnd, OutputLimit, Sink, Source, StreamEnd, StreamReport,
    Until, UntilError,
};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

const MIB: usize = 1024 * 1024;

/// Bytes in which every position differs from its neighbours.
fn pattern(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// Writes everything from its own thread.
fn pour(mut writer: impl Write + Send + 'static, bytes: Vec<u8>) -> thread::JoinHandle<io::Result<()>> {
    thread::spawn(move || writer.write_all(&bytes))
}

/// Reads everything on its own thread.
fn drain(mut reader: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

#[test]
fn bytes_go_both_ways_at_once_through_readers_and_writers() {
    let bytes = pattern(100 * MIB);
    let mut answer = Vec::new();
    let finished =
        bridged("cat", Source::reader(io::Cursor::new(bytes.clone())), Sink::borrowed(&mut answer));
    assert!(answer == bytes);
    assert_eq!((finished.stdin.bytes, finished.stdin.end), (bytes.len() as u64, StreamEnd::Eof));
    assert_eq!((finished.stdout.bytes, finished.stdout.end), (bytes.len() as u64, StreamEnd::Eof));
}

#[test]
fn bytes_go_both_ways_at_once_through_pipes() {
    let bytes = pattern(100 * MIB);
    let (source, feeder) = io::pipe().unwrap();
    let (reader, sink) = io::pipe().unwrap();
    let (pour, drain) = (pour(feeder, bytes.clone()), drain(reader));
    let finished = bridged("cat", Source::descriptor(source), Sink::descriptor(sink));
    pour.join().unwrap().unwrap();
    assert!(drain.join().unwrap() == bytes);
    assert_eq!((finished.stdin.bytes, finished.stdout.bytes), (bytes.len() as u64, bytes.len() as u64));
}

#[test]
fn bytes_go_both_ways_at_once_through_sockets() {
    let bytes = pattern(20 * MIB);
    let (source, feeder) = UnixStream::pair().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let sink = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (pour, drain) = (pour(feeder, bytes.clone()), drain(listener.accept().unwrap().0));
    let finished = bridged("cat", Source::descriptor(source), Sink::descriptor(sink));
    pour.join().unwrap().unwrap();
    assert!(drain.join().unwrap() == bytes);
    assert_eq!((finished.stdin.bytes, finished.stdout.bytes), (bytes.len() as u64, bytes.len() as u64));
}

#[test]
fn every_kind_of_sink_gets_all_bytes_and_a_copy_is_kept() {
    let bytes = pattern(3 * MIB + 17);
    let limit = OutputLimit::head_and_tail(1000, 1000);
    let mut source = tempfile::tempfile().unwrap();
    source.write_all(&bytes).unwrap();

    let file = tempfile::tempfile().unwrap();
    let (reader, pipe) = io::pipe().unwrap();
    let (peer, socket) = UnixStream::pair().unwrap();
    let (from_pipe, from_socket) = (drain(reader), drain(peer));
    let (send, receive) = mpsc::channel();
    let sinks = [
        Sink::borrowed_descriptor(file.as_fd()),
        Sink::descriptor(pipe),
        Sink::descriptor(socket),
        Sink::writer(Messages(send)),
        Sink::discard(),
    ];
    for sink in sinks {
        (&source).rewind().unwrap();
        let streams = Streams {
            stdin: Source::borrowed_descriptor(source.as_fd()),
            stdout: Output::Tee(sink, limit),
            stderr: Output::Capture(ALL),
        };
        let finished = with_process(&sh("cat"), streams, |process| {
            assert!(process.drive(&soon()).is_ok());
            process.finish()
        })
        .unwrap();
        assert_eq!(finished.stdout.bytes, bytes.len() as u64);
        assert_eq!(finished.stdout_capture.total(), bytes.len() as u64);
        assert_eq!(finished.stdout_capture.head(), &bytes[..1000]);
        assert_eq!(finished.stdout_capture.tail(), &bytes[bytes.len() - 1000..]);
    }
    let mut written = Vec::new();
    let mut file = file;
    file.rewind().unwrap();
    file.read_to_end(&mut written).unwrap();
    assert!(written == bytes);
    assert!(from_pipe.join().unwrap() == bytes);
    assert!(from_socket.join().unwrap() == bytes);
    assert!(receive.try_iter().collect::<Vec<_>>().concat() == bytes);
}

/// Passes on what is written to it, message by message.
struct Messages(mpsc::Sender<Vec<u8>>);

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks over a source that stays open and reads the answer from a sink that stays open, ten times.
fn converse<'a>(
    stdin: Source<'a>,
    stdout: Sink<'a>,
    mut ask: impl Write + Send + 'static,
    answer: impl FnMut() -> Vec<u8> + Send + 'static,
) {
    let mut answer = answer;
    let talk = thread::spawn(move || {
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let start = Instant::now();
            ask.write_all(b"0123456789\n").unwrap();
            let mut heard = Vec::new();
            while heard.len() < 11 {
                heard.extend(answer());
            }
            assert_eq!(heard, b"0123456789\n");
            slowest = slowest.max(start.elapsed());
        }
        slowest
    });
    let finished = bridged("exec cat", stdin, stdout);
    assert_eq!((finished.stdout.bytes, finished.status), (110, Some(ExitStatus::Code(0))));
    let slowest = talk.join().unwrap();
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[test]
fn eleven_bytes_are_answered_at_once_on_open_streams() {
    let (source, ask) = io::pipe().unwrap();
    let (mut reader, sink) = io::pipe().unwrap();
    converse(Source::descriptor(source), Sink::descriptor(sink), ask, move || {
        let mut bytes = [0; 64];
        let count = reader.read(&mut bytes).unwrap();
        bytes[..count].to_vec()
    });

    let (source, ask) = UnixStream::pair().unwrap();
    let (mut reader, sink) = UnixStream::pair().unwrap();
    converse(Source::descriptor(source), Sink::descriptor(sink), ask, move || {
        let mut bytes = [0; 64];
        let count = reader.read(&mut bytes).unwrap();
        bytes[..count].to_vec()
    });

    let (source, ask) = io::pipe().unwrap();
    let (send, receive) = mpsc::channel();
    // A buffering writer must be flushed.
    let writer = io::BufWriter::new(Messages(send));
    converse(Source::reader(source), Sink::writer(writer), ask, move || receive.recv().unwrap());
}

#[test]
fn a_sink_that_is_full_holds_its_own_stream_back_and_no_other() {
    /// Cancels when this much has come.
    struct Enough(usize, CancelToken);

    impl Write for Enough {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_sub(bytes.len());
            if self.0 == 0 {
                self.1.cancel();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let (_reader, full) = io::pipe().unwrap();
    let came = CancelToken::new();
    let streams = Streams {
        stdin: Source::empty(),
        stdout: Output::Bridge(Sink::descriptor(full)),
        stderr: Output::Bridge(Sink::writer(Enough(1_000_000, came.clone()))),
    };
    with_process(&sh("yes & head -c 1000000 /dev/zero >&2; wait"), streams, |process| {
        let until = Until::after(Duration::from_secs(60)).or_cancelled(&came);
        assert!(matches!(process.drive(&until), Err(Interruption::Stopped(UntilError::Cancelled))));
        process.end(KILL_GRACE);
        assert_eq!(process.finish().stderr.bytes, 1_000_000);
    })
    .unwrap();
}

#[test]
fn a_slow_sink_gets_everything_however_long_after_the_exit() {
    // The drain's clock must not run while the sink blocks; another process holds the stream open,
    // too.
    let (mut reader, sink) = io::pipe().unwrap();
    let slow = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1300));
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    let finished = bridged("sleep 3 & head -c 130000 /dev/zero", Source::empty(), Sink::descriptor(sink));
    assert_eq!((finished.stdout.bytes, finished.stdout.end), (130_000, StreamEnd::LeftOpen));
    assert_eq!(slow.join().unwrap(), 130_000);
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_process_leaves_unread_stays_with_the_caller() {
    let bytes = pattern(MIB / 2);
    let (mut source, mut feeder) = io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&feeder, MIB).unwrap();
    feeder.write_all(&bytes).unwrap();
    drop(feeder);
    let finished =
        bridged("dd bs=3 count=1 2>&1", Source::borrowed_descriptor(source.as_fd()), Sink::discard());
    let taken = usize::try_from(finished.stdin.bytes).unwrap();
    // The bytes in the kernel's pipe, and the three that were read.
    assert!(taken <= 64 * 1024 + 4096, "{taken}");
    let mut rest = Vec::new();
    source.read_to_end(&mut rest).unwrap();
    assert!(rest == bytes[taken..]);

    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    let finished =
        bridged("dd bs=3 count=1 2>&1", Source::borrowed_descriptor(file.as_fd()), Sink::discard());
    assert!(finished.stdin.bytes <= 64 * 1024 + 4096, "{}", finished.stdin.bytes);
    assert_eq!(file.stream_position().unwrap(), finished.stdin.bytes);
}

#[test]
fn the_flags_of_descriptors_stay_as_they_were() {
    for flags in [OFlags::empty(), OFlags::NONBLOCK] {
        let (source, mut feeder) = io::pipe().unwrap();
        let (reader, sink) = io::pipe().unwrap();
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let all: [OwnedFd; 3] = [source.into(), sink.into(), socket.into()];
        for fd in &all {
            fcntl_setfl(fd, fcntl_getfl(fd).unwrap() | flags).unwrap();
        }
        let before: Vec<_> = all.iter().map(|fd| fcntl_getfl(fd).unwrap()).collect();
        feeder.write_all(b"hello").unwrap();
        drop(feeder);
        peer.write_all(b"hello").unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let [source, sink, socket] = &all;
        let during = |process: &mut Process<'_>| {
            let stopped = process.drive(&Until::after(Duration::from_millis(20)));
            assert!(matches!(stopped, Err(Interruption::Stopped(UntilError::DeadlineExceeded))));
            assert_eq!(all.iter().map(|fd| fcntl_getfl(fd).unwrap()).collect::<Vec<_>>(), before);
            assert!(process.drive(&soon()).is_ok());
        };
        for source in [source, socket] {
            for sink in [sink, socket] {
                let (source, sink) =
                    (Source::borrowed_descriptor(source.as_fd()), Sink::borrowed_descriptor(sink.as_fd()));
                with_process(&sh("cat; sleep 0.05"), streams(source, sink), during).unwrap();
            }
        }
        assert_eq!(all.iter().map(|fd| fcntl_getfl(fd).unwrap()).collect::<Vec<_>>(), before);
        drop(reader);
    }
}

#[test]
fn an_owned_sink_is_let_go_when_its_stream_ends() {
    // The process closes its stdout and continues; a reader of the sink sees the end at that time,
    // not later.
    for threaded in [false, true] {
        let (mut reader, sink) = io::pipe().unwrap();
        let sink = if threaded { Sink::writer(sink) } else { Sink::descriptor(sink) };
        with_process(
            &sh("echo hello; exec >&-; exec sleep 1000"),
            streams(Source::empty(), sink),
            |process| {
                let reading = thread::spawn(move || {
                    let mut text = String::new();
                    reader.read_to_string(&mut text).unwrap();
                    text
                });
                while !reading.is_finished() {
                    assert!(matches!(
                        process.drive(&Until::after(Duration::from_millis(5))),
                        Err(Interruption::Stopped(_))
                    ));
                }
                assert_eq!(reading.join().unwrap(), "hello\n");
                process.end(KILL_GRACE);
            },
        )
        .unwrap();
    }
}

#[test]
fn filling_one_output_while_the_other_is_silent_never_hangs() {
    let finished = bridged("head -c 3000000 /dev/zero >&2; echo done", Source::empty(), Sink::discard());
    assert_eq!((finished.stderr_capture.total(), finished.stdout.bytes), (3_000_000, 5));
}

#[test]
fn two_outputs_may_lead_to_one_pipe() {
    let (reader, sink) = io::pipe().unwrap();
    let drain = drain(reader);
    let streams = Streams {
        stdin: Source::empty(),
        stdout: Output::Bridge(Sink::borrowed_descriptor(sink.as_fd())),
        stderr: Output::Tee(Sink::borrowed_descriptor(sink.as_fd()), OutputLimit::bytes(10)),
    };
    let finished = with_process(
        &sh("head -c 1000000 /dev/zero & head -c 1000000 /dev/zero >&2; wait"),
        streams,
        |process| {
            assert!(process.drive(&soon()).is_ok());
            process.finish()
        },
    )
    .unwrap();
    drop(sink);
    assert_eq!((finished.stdout.bytes, finished.stderr.bytes), (1_000_000, 1_000_000));
    assert_eq!(drain.join().unwrap().len(), 2_000_000);
}

#[test]
fn lines_and_limits_end_with_a_stream_that_is_left_open() {
    let mut lines = Vec::new();
    // A child holds the stream open, beyond the limit of the call.
    let script = "printf 'one\ntwo'; sleep 7 2>/dev/null &";
    for limit in [Until::after(Duration::from_secs(60)), Until::after(Duration::ZERO)] {
        with_process(
            &sh(script),
            streams(Source::empty(), Sink::lines(9, |line| lines.push(line))),
            |process| {
                while !process.has_exited() {
                    assert!(
                        process.drive(&Until::after(Duration::from_millis(20))).is_err()
                            || process.has_exited()
                    );
                }
                assert!(process.drive(&limit).is_ok());
                assert_eq!(process.finish().stdout, StreamReport::new(7, StreamEnd::LeftOpen));
            },
        )
        .unwrap();
        let lines: Vec<_> = lines.drain(..).map(|line| (line.bytes, line.end)).collect();
        assert_eq!(lines, [(b"one".to_vec(), LineEnd::Newline), (b"two".to_vec(), LineEnd::OutputEnd)]);
    }
}

#[test]
fn lines_of_a_stopped_stream_are_handed_over() {
    let mut lines = Vec::new();
    let sink = Sink::lines(9, |line| lines.push((line.text().into_owned(), line.end)));
    with_process(&sh("echo one; printf two; exec sleep 60"), streams(Source::empty(), sink), |process| {
        while process.output_bytes() < 7 {
            assert!(process.drive(&Until::after(Duration::from_millis(20))).is_err());
        }
        process.end(Duration::from_secs(2));
        assert_eq!(process.finish().stdout, StreamReport::new(7, StreamEnd::Eof));
    })
    .unwrap();
    assert_eq!(lines, [("one".to_owned(), LineEnd::Newline), ("two".to_owned(), LineEnd::OutputEnd)]);
}
