//! What happens to the output of a bridged call on its way: limits, lines and copies.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rt_protocol::{
    Capability, ErrorKind, ExecStdio, ExitOutcome, LineEnd, OutputLimit, PartialOutput, Sink, Source,
    StreamEnd, StreamReport, Until,
};

use super::calls::{Full, check_report};
use super::{bridge, fact};
use crate::ensure::{refused, same_bytes};
use crate::script::pattern;
use crate::timeout::timeout;
use crate::{Case, Failure, Script, Shape, TestContext, Verdict};

const LIMITED: &[Capability] = &[Capability::ExecStdio, Capability::OutputLimits];

pub(crate) const CASES: &[Case] = &[
    fact("stdio: under a limit a sink gets what is captured", limits).can(LIMITED),
    fact("stdio: every kind of sink can be limited", kinds).can(LIMITED),
    fact("stdio: the beginning of limited output arrives at once", limited_head).can(LIMITED),
    fact("stdio: a deadline keeps the end of limited output", limited_deadline).can(LIMITED),
    fact("stdio: lines go to a closure as they arrive", lines),
    fact("stdio: a last line without a newline is a line", last_line),
    fact("stdio: a panic of the closure for lines ends the command", panicking_lines),
    fact("stdio: a copy beside a sink is complete", copy),
    fact("stdio: a copy is limited by itself", limited_copy),
    fact("stdio: the copy beside a failing sink stays readable", copy_of_failing_sink),
];

fn limits(context: &TestContext<'_>) -> Verdict {
    let script = Script::Flood { stdout: 300_000, stderr: 5000, code: 3 };
    for limit in [
        OutputLimit::bytes(1000),
        OutputLimit::head_and_tail(100, 0),
        OutputLimit::head_and_tail(0, 100),
        OutputLimit::bytes(0),
        OutputLimit::head_and_tail(4000, 400_000),
    ] {
        let request = context.builder(&script).output_limit(limit).build()?;
        let captured = context.standing()?.exec(&request, &timeout())?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let stdio =
            ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout)).stderr(Sink::borrowed(&mut stderr));
        let result = context.standing()?.exec_stdio(&request, stdio, &timeout())?;
        ensure_eq!(result.outcome, ExitOutcome::Code(3), "the outcome")?;
        for (given, report, captured) in
            [(&stdout, result.stdout, &captured.stdout), (&stderr, result.stderr, &captured.stderr)]
        {
            same_bytes("what the sink got", given, captured.as_bytes())?;
            let moved = StreamReport::new(captured.as_bytes().len() as u64, StreamEnd::Eof);
            ensure_eq!(report, moved.with_omitted(captured.omitted()), "the report")?;
        }
    }
    Ok(())
}

fn kinds(context: &TestContext<'_>) -> Verdict {
    let request = context
        .builder(&Script::Flood { stdout: 300_000, stderr: 5000, code: 0 })
        .stdout_limit(OutputLimit::bytes(1000))
        .build()?;
    let path = std::env::temp_dir().join(format!("rt-conformance-{}", context.token()));
    let file = fs::File::create(&path)?;
    let (mut reader, writer) = io::pipe()?;
    let (mut near, far) = UnixStream::pair()?;
    let sinks = [
        Sink::borrowed_descriptor(writer.as_fd()),
        Sink::writer(writer.try_clone()?),
        Sink::borrowed_descriptor(far.as_fd()),
        Sink::borrowed_descriptor(file.as_fd()),
        Sink::discard(),
    ];
    for sink in sinks {
        let stdio = ExecStdio::new(Source::empty(), sink);
        let result = context.standing()?.exec_stdio(&request, stdio, &timeout())?;
        let moved = StreamReport::new(1000, StreamEnd::Eof).with_omitted(299_000);
        ensure_eq!(result.stdout, moved, "the report")?;
        ensure_eq!(result.stderr, StreamReport::new(5000, StreamEnd::Eof), "the report of stderr")?;
    }
    drop((writer, far));
    let (mut piped, mut sent) = (Vec::new(), Vec::new());
    reader.read_to_end(&mut piped)?;
    near.read_to_end(&mut sent)?;
    let stored = fs::read(&path);
    fs::remove_file(&path)?;
    let all = pattern(300_000);
    let kept = [&all[..500], &all[299_500..]].concat();
    same_bytes("what two sinks for a pipe got", &piped, &kept.repeat(2))?;
    same_bytes("what the socket got", &sent, &kept)?;
    same_bytes("what the file got", &stored?, &kept)
}

/// The command gets more to copy when its first output has arrived.
fn limited_head(context: &TestContext<'_>) -> Verdict {
    let request = context.builder(&Script::Cat).output_limit(OutputLimit::head_and_tail(4, 3)).build()?;
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(b"first")?;
    let mut sink = Prompting { written: Vec::new(), next: Some(writer) };
    let stdio = ExecStdio::new(Source::descriptor(reader), Sink::borrowed(&mut sink));
    let result = context.standing()?.exec_stdio(&request, stdio, &timeout())?;
    same_bytes("what the sink got", &sink.written, b"firsond")?;
    ensure_eq!(result.stdout, StreamReport::new(7, StreamEnd::Eof).with_omitted(4), "the report")
}

/// Writes the rest of stdin, and its end, when the first bytes arrive.
struct Prompting {
    written: Vec<u8>,
    next: Option<io::PipeWriter>,
}

impl Write for Prompting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        if let Some(mut next) = self.next.take() {
            next.write_all(b"second")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn limited_deadline(context: &TestContext<'_>) -> Verdict {
    let script = Script::Hold { shape: Shape::Alone, token: context.token() };
    let request = context.builder(&script).output_limit(OutputLimit::head_and_tail(1, 2)).build()?;
    let standing = context.warm_standing()?;
    let mut stdout = Vec::new();
    let stdio = ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout));
    let until = Until::after(context.allow(Duration::from_secs(1)));
    let error = refused(standing.exec_stdio(&request, stdio, &until), ErrorKind::TimedOut)?;
    same_bytes("what the sink got", &stdout, b"hd\n")?;
    let Some(PartialOutput::Streams { stdout, .. }) = error.partial() else {
        return Err(Failure::new(format!("nothing says what was moved: {error:?}")));
    };
    ensure_eq!(*stdout, StreamReport::new(3, StreamEnd::Stopped).with_omitted(2), "the report")?;
    check_report(context, &error)
}

/// The command gets more to copy when its first line has arrived.
fn lines(context: &TestContext<'_>) -> Verdict {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(b"one\n\ntwo\r\nthr")?;
    let mut next = Some(writer);
    let mut lines = Vec::new();
    let sink = Sink::lines(8, |line| {
        lines.push(line);
        if let Some(mut next) = next.take() {
            // If it fails, the lines are not those that are expected.
            let _ = next.write_all(b"ee\n\xff0123456789\n");
        }
    });
    let result = bridge(context, &Script::Cat, ExecStdio::new(Source::descriptor(reader), sink))?;
    ensure_eq!(result.stdout, StreamReport::new(28, StreamEnd::Eof), "the report")?;
    let texts: Vec<_> = lines.iter().map(|line| (line.bytes.as_slice(), line.end)).collect();
    let [newline, continued] = [LineEnd::Newline, LineEnd::Continued];
    let expected: &[(&[u8], LineEnd)] = &[
        (b"one", newline),
        (b"", newline),
        (b"two", newline),
        (b"three", newline),
        (b"\xff0123456", continued),
        (b"789", newline),
    ];
    ensure_eq!(texts, expected, "the lines")
}

fn last_line(context: &TestContext<'_>) -> Verdict {
    let mut lines = Vec::new();
    let script = Script::Say { stdout: b"one\ntwo".to_vec(), stderr: b"three".to_vec(), code: 4 };
    let mut errors = Vec::new();
    let stdio = ExecStdio::new(Source::empty(), Sink::lines(99, |line| lines.push(line)))
        .stderr(Sink::lines(99, |line| errors.push(line)));
    let result = bridge(context, &script, stdio)?;
    ensure_eq!(result.outcome, ExitOutcome::Code(4), "the outcome")?;
    let texts: Vec<_> = lines.iter().chain(&errors).map(|line| (line.text(), line.end)).collect();
    let expected = [
        ("one".into(), LineEnd::Newline),
        ("two".into(), LineEnd::OutputEnd),
        ("three".into(), LineEnd::OutputEnd),
    ];
    ensure_eq!(texts, expected, "the lines")
}

fn panicking_lines(context: &TestContext<'_>) -> Verdict {
    let request = context.request(&Script::Endless)?;
    let sink = Sink::lines(99, |_| std::panic::resume_unwind(Box::new("the suite's closure")));
    let answer = context.standing()?.exec_stdio(&request, ExecStdio::new(Source::empty(), sink), &timeout());
    check_report(context, &refused(answer, ErrorKind::SinkFailed)?)?;
    // The closure is first called when the output has ended.
    let request = context.request(&Script::Say { stdout: b"x".to_vec(), stderr: Vec::new(), code: 0 })?;
    let sink = Sink::lines(99, |_| std::panic::resume_unwind(Box::new("the suite's closure")));
    let answer = context.standing()?.exec_stdio(&request, ExecStdio::new(Source::empty(), sink), &timeout());
    refused(answer, ErrorKind::SinkFailed)?;
    Ok(())
}

fn copy(context: &TestContext<'_>) -> Verdict {
    let (mut written, mut lines) = (Vec::new(), 0);
    let (mut reader, writer) = io::pipe()?;
    let draining = std::thread::spawn(move || {
        let mut piped = Vec::new();
        reader.read_to_end(&mut piped).map(|_| piped)
    });
    let script = Script::Flood { stdout: 300_000, stderr: 0, code: 0 };
    for sink in [
        Sink::borrowed(&mut written),
        Sink::descriptor(writer),
        Sink::writer(io::sink()),
        Sink::lines(99, |_| lines += 1),
        Sink::discard(),
    ] {
        let (sink, copy) = sink.tee(OutputLimit::UNLIMITED);
        let result = bridge(context, &script, ExecStdio::new(Source::empty(), sink))?;
        ensure_eq!(result.stdout, StreamReport::new(300_000, StreamEnd::Eof), "the report")?;
        let copy = copy.take();
        ensure_eq!(copy.end(), StreamEnd::Eof, "the end of the copy")?;
        same_bytes("the copy", copy.as_bytes(), &pattern(300_000))?;
    }
    same_bytes("what the sink got", &written, &pattern(300_000))?;
    ensure!(lines > 0, "no line arrived")?;
    let piped = draining.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    same_bytes("what the pipe got", &piped, &pattern(300_000))
}

fn limited_copy(context: &TestContext<'_>) -> Verdict {
    let script = Script::Flood { stdout: 0, stderr: 300_000, code: 0 };
    let mut stderr = Vec::new();
    let (sink, copy) = Sink::borrowed(&mut stderr).tee(OutputLimit::bytes(20));
    let result = bridge(context, &script, ExecStdio::default().stderr(sink))?;
    ensure!(result.success(), "the outcome is {}", result.outcome)?;
    same_bytes("what the sink got", &stderr, &pattern(300_000))?;
    let copy = copy.take();
    same_bytes("the beginning of the copy", copy.head(), &pattern(10))?;
    same_bytes("the end of the copy", copy.tail(), &pattern(300_000)[299_990..])?;
    ensure_eq!(copy.total(), 300_000, "the length of the stream")
}

fn copy_of_failing_sink(context: &TestContext<'_>) -> Verdict {
    let mut full = Full(1000);
    let (sink, copy) = Sink::borrowed(&mut full).tee(OutputLimit::bytes(64 << 10));
    let stdio = ExecStdio::new(Source::empty(), sink);
    let answer = context.standing()?.exec_stdio(&context.request(&Script::Endless)?, stdio, &timeout());
    check_report(context, &refused(answer, ErrorKind::SinkFailed)?)?;
    let copy = copy.take();
    ensure_eq!(copy.end(), StreamEnd::Stopped, "the end of the copy")?;
    ensure!(copy.total() >= 1000, "the copy has {} bytes", copy.total())?;
    same_bytes("the beginning of the copy", &copy.head()[..1000], &b"y\n".repeat(500))
}
