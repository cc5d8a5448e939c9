//! Single streams of a bridged call: bytes, ends, promptness, and the caller's descriptors.

use std::fs;
use std::io::{self, Cursor, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rt_protocol::{ExecStdio, Sink, Source};

use super::{bridge, fact, piped};
use crate::ensure::same_bytes;
use crate::script::pattern;
use crate::threads::joined;
use crate::timeout::{TIMEOUT, timeout};
use crate::{Case, Failure, Script, TestContext, Verdict};

pub(crate) const CASES: &[Case] = &[
    fact("stdio: what goes in comes out, to the end", echo),
    fact("stdio: zero bytes are an end too", zero_bytes),
    fact("stdio: every byte value goes both ways", all_bytes),
    fact("stdio: eight MiB go both ways at once", eight_mebibytes),
    fact("stdio: all of stdin arrives", counted),
    fact("stdio: a short message on an open pipe is answered at once", prompt),
    fact("stdio: a reader is a source", reader),
    fact("stdio: a writer of its own is a sink", writer),
    fact("stdio: a sink that takes few bytes at a time loses none", short_writes),
    fact("stdio: a file is a source", file),
    fact("stdio: a pipe is a sink", pipe),
    fact("stdio: borrowed descriptors stay open and as they were", borrowed),
];

fn echo(context: &TestContext<'_>) -> Verdict {
    let (result, stdout) = piped(context, &Script::Cat, Source::bytes(b"abcdef"))?;
    ensure!(result.success(), "the outcome is {}", result.outcome)?;
    same_bytes("stdout", &stdout, b"abcdef")
}

fn zero_bytes(context: &TestContext<'_>) -> Verdict {
    let (_, stdout) = piped(context, &Script::CountStdin, Source::bytes(b""))?;
    same_bytes("the bytes on stdin", &stdout, b"0")
}

fn all_bytes(context: &TestContext<'_>) -> Verdict {
    let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    same_bytes("stdout", &piped(context, &Script::Cat, Source::bytes(&bytes[..]))?.1, &bytes)
}

fn eight_mebibytes(context: &TestContext<'_>) -> Verdict {
    let bytes = pattern(8 << 20);
    let (result, stdout) = piped(context, &Script::Cat, Source::bytes(&bytes[..]))?;
    same_bytes("stdout", &stdout, &bytes)?;
    ensure_eq!((result.stdin.bytes, result.stdout.bytes), (8 << 20, 8 << 20), "the bytes that were moved")
}

fn counted(context: &TestContext<'_>) -> Verdict {
    let (_, stdout) = piped(context, &Script::CountStdin, Source::bytes(pattern(1_000_001)))?;
    same_bytes("the bytes on stdin", &stdout, b"1000001")
}

/// No backend takes this long for a few bytes. One that waits for the end of stdin would wait
/// forever.
const LONG_FOR_A_MESSAGE: Duration = Duration::from_secs(10);

fn prompt(context: &TestContext<'_>) -> Verdict {
    let (heard, mut speaker) = io::pipe()?;
    let (sender, answers) = mpsc::channel();
    let (result, took) = std::thread::scope(|scope| {
        let stdio = ExecStdio::new(Source::descriptor(heard), Sink::writer(Sender(sender)));
        let call = scope.spawn(move || bridge(context, &Script::Cat, stdio));
        // The first message waits for the command to start; the second one is measured.
        let mut exchange = |message: &[u8]| -> io::Result<Duration> {
            let begin = Instant::now();
            speaker.write_all(message)?;
            let mut answer = Vec::new();
            while answer.len() < message.len() {
                answer.extend(answers.recv_timeout(LONG_FOR_A_MESSAGE).map_err(io::Error::other)?);
            }
            if answer == message {
                Ok(begin.elapsed())
            } else {
                Err(io::Error::other("another message came back"))
            }
        };
        let took = exchange(b"first").and_then(|_| exchange(b"hello again"));
        // Whatever the result is, the end of stdin ends the call.
        drop(speaker);
        (joined(call), took)
    });
    let result = result?;
    let took = took?;
    ensure!(took < Duration::from_millis(500), "eleven bytes took {took:?}")?;
    ensure!(result.success(), "the outcome is {}", result.outcome)
}

fn reader(context: &TestContext<'_>) -> Verdict {
    let (result, stdout) = piped(context, &Script::Cat, Source::reader(Cursor::new(pattern(150_000))))?;
    result.exit_ok()?;
    same_bytes("stdout", &stdout, &pattern(150_000))
}

/// Passes everything on to another thread.
struct Sender(mpsc::Sender<Vec<u8>>);

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn writer(context: &TestContext<'_>) -> Verdict {
    let (sender, receiver) = mpsc::channel();
    let stdio = ExecStdio::new(Source::empty(), Sink::writer(Sender(sender)));
    bridge(context, &Script::Flood { stdout: 150_000, stderr: 0, code: 0 }, stdio)?.exit_ok()?;
    // Ends once the call has dropped the sink.
    let mut stdout = Vec::new();
    while let Ok(bytes) = receiver.recv_timeout(TIMEOUT) {
        stdout.extend(bytes);
    }
    same_bytes("stdout", &stdout, &pattern(150_000))
}

/// Takes at most seven bytes at a time, and is interrupted now and then.
#[derive(Default)]
struct Slow {
    bytes: Vec<u8>,
    calls: usize,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(100) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let taken = bytes.len().min(7);
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn short_writes(context: &TestContext<'_>) -> Verdict {
    let mut slow = Slow::default();
    let stdio = ExecStdio::new(Source::empty(), Sink::borrowed(&mut slow));
    bridge(context, &Script::Flood { stdout: 100_000, stderr: 0, code: 0 }, stdio)?.exit_ok()?;
    same_bytes("stdout", &slow.bytes, &pattern(100_000))
}

fn file(context: &TestContext<'_>) -> Verdict {
    let path = context.host_dir()?.join("source");
    fs::write(&path, pattern(100_000))?;
    let (result, stdout) = piped(context, &Script::Cat, Source::descriptor(fs::File::open(&path)?))?;
    result.exit_ok()?;
    same_bytes("stdout", &stdout, &pattern(100_000))
}

/// Returns everything that comes out of a pipe. Time is limited, because a backend that keeps the
/// other end open must not block the suite. The thread in the read is then counted as a leftover,
/// which is correct.
fn read_to_end(mut pipe: PipeReader) -> Result<Vec<u8>, Failure> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.read_to_end(&mut bytes);
        let _ = sender.send(read.map(|_| bytes));
    });
    match receiver.recv_timeout(TIMEOUT) {
        Ok(read) => Ok(read?),
        Err(_) => Err(Failure::new("the other end of the caller's pipe is still open")),
    }
}

fn pipe(context: &TestContext<'_>) -> Verdict {
    let (reader, writer) = io::pipe()?;
    let stdout = std::thread::scope(|scope| {
        let stdio = ExecStdio::new(Source::empty(), Sink::descriptor(writer));
        let script = Script::Flood { stdout: 300_000, stderr: 0, code: 0 };
        let call = scope.spawn(move || bridge(context, &script, stdio));
        let read = read_to_end(reader);
        let _ = joined(call)?;
        read
    })?;
    same_bytes("stdout", &stdout, &pattern(300_000))
}

fn borrowed(context: &TestContext<'_>) -> Verdict {
    let (reader, mut speaker) = io::pipe()?;
    let (listener, writer) = io::pipe()?;
    speaker.write_all(b"once")?;
    drop(speaker);
    let flags = |fd: &dyn AsRawFd| fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok();
    let flag_line = |text: Option<String>| {
        text.and_then(|text| text.lines().find(|line| line.starts_with("flags:")).map(str::to_owned))
    };
    let before = (flag_line(flags(&reader)), flag_line(flags(&writer)));
    let stdio = ExecStdio::new(
        Source::borrowed_descriptor(reader.as_fd()),
        Sink::borrowed_descriptor(writer.as_fd()),
    );
    let _ = context.standing()?.exec_stdio(&context.request(&Script::Cat)?, stdio, &timeout())?;
    let after = (flag_line(flags(&reader)), flag_line(flags(&writer)));
    ensure_eq!(after, before, "the flags of the caller's descriptors")?;
    let mut writer = writer;
    writer.write_all(b" more")?;
    drop(writer);
    let all = read_to_end(listener)?;
    same_bytes("what came through the borrowed sink", &all, b"once more")
}
