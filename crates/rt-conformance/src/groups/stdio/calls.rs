//! Whole bridged calls: outcomes, reports, deadlines, failing sources and sinks.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rt_protocol::{
    CancelToken, Capability, Error, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, KillOutcome,
    PartialOutput, Sink, Source, StreamEnd, StreamReport, Until,
};

use super::{bridge, fact, piped};
use crate::ensure::{never_started, refused, same_bytes};
use crate::interrupted::interrupted;
use crate::script::pattern;
use crate::threads::joined;
use crate::timeout::timeout;
use crate::{Case, Failure, Need, Script, Shape, TestContext, Verdict};

pub(crate) const CASES: &[Case] = &[
    fact("stdio: the code is passed on", code),
    fact("stdio: bytes are counted and ends are reported", reports),
    fact("stdio: without stdin the command reads its end at once", no_stdin),
    fact("stdio: stderr goes to its own sink", own_stderr),
    fact("stdio: what nobody wants is drained and counted", discarded),
    fact("stdio: environment and workdir are honoured", settings).can(&[
        Capability::ExecStdio,
        Capability::ExecEnv,
        Capability::ExecWorkdir,
    ]),
    fact("stdio: a command that leaves its stdin unread is no error", unread),
    fact("stdio: a source that never ends does not hold the call", endless_source),
    fact("stdio: a child that holds stdout does not hold the call", held_by_child),
    fact("stdio: a failing source ends the command", failing_source),
    fact("stdio: a failing sink ends the command", failing_sink),
    fact("stdio: a sink that nobody reads any more ends the command", closed_pipe),
    fact("stdio: a deadline ends the command and says what was moved", deadline),
    fact("stdio: a cancel ends the command", cancel),
    fact("stdio: a call that may not begin starts nothing", not_started),
    fact("stdio: two at once do not mix", two_at_once),
    fact("stdio: a command that is not found is an error", not_found).unstarted(),
    fact("stdio: a deadline leaves no process behind", deadline_leaves_nothing),
];

fn code(context: &TestContext<'_>) -> Verdict {
    for code in [0, 5, 125, 127, 255] {
        let result = bridge(context, &Script::Exit(code), ExecStdio::default())?;
        ensure_eq!(result.outcome, ExitOutcome::Code(code), "the outcome")?;
    }
    Ok(())
}

fn reports(context: &TestContext<'_>) -> Verdict {
    let (result, _) = piped(context, &Script::Cat, Source::bytes(pattern(70_000)))?;
    let moved = StreamReport::new(70_000, StreamEnd::Eof);
    ensure_eq!(result.stdin, moved, "the report of stdin")?;
    ensure_eq!(result.stdout, moved, "the report of stdout")?;
    ensure_eq!(result.stderr.bytes, 0, "the bytes of stderr")
}

fn no_stdin(context: &TestContext<'_>) -> Verdict {
    let (result, stdout) = piped(context, &Script::CountStdin, Source::empty())?;
    same_bytes("the bytes on stdin", &stdout, b"0")?;
    ensure_eq!(result.stdin, StreamReport::new(0, StreamEnd::Unused), "the report of stdin")
}

fn own_stderr(context: &TestContext<'_>) -> Verdict {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let stdio =
        ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout)).stderr(Sink::borrowed(&mut stderr));
    let result = bridge(context, &Script::Flood { stdout: 200_000, stderr: 100_000, code: 0 }, stdio)?;
    same_bytes("stdout", &stdout, &pattern(200_000))?;
    same_bytes("stderr", &stderr, &pattern(100_000))?;
    ensure_eq!((result.stdout.bytes, result.stderr.bytes), (200_000, 100_000), "the bytes that were moved")
}

fn discarded(context: &TestContext<'_>) -> Verdict {
    let size = 1 << 20;
    let result =
        bridge(context, &Script::Flood { stdout: size, stderr: size, code: 0 }, ExecStdio::default())?;
    ensure_eq!((result.stdout.bytes, result.stderr.bytes), (size, size), "the bytes that were drained")
}

fn settings(context: &TestContext<'_>) -> Verdict {
    for (script, expected) in [(Script::Variable("RT_GIVEN".into()), "value"), (Script::Workdir, "/")] {
        let request = context.builder(&script).env("RT_GIVEN", "value").workdir("/").build()?;
        let mut stdout = Vec::new();
        let stdio = ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout));
        context
            .runtime()
            .exec_stdio(&context.standing()?.key().name, &request, stdio, &timeout())?
            .exit_ok()?;
        same_bytes("stdout", &stdout, expected.as_bytes())?;
    }
    Ok(())
}

fn unread(context: &TestContext<'_>) -> Verdict {
    let (result, _) = piped(context, &Script::Exit(4), Source::bytes(vec![b'x'; 3 << 20]))?;
    ensure_eq!(result.outcome, ExitOutcome::Code(4), "the outcome")?;
    ensure_eq!(result.stdin.end, StreamEnd::ReaderGone, "the end of stdin")?;
    ensure!(result.stdin.bytes < 3 << 20, "all of stdin is said to be moved")
}

fn endless_source(context: &TestContext<'_>) -> Verdict {
    let (reader, writer) = io::pipe()?;
    let begin = Instant::now();
    let (result, _) = piped(context, &Script::Exit(0), Source::descriptor(reader))?;
    drop(writer);
    ensure!(result.success(), "the outcome is {}", result.outcome)?;
    ensure!(begin.elapsed() < Duration::from_secs(10), "the call was held for {:?}", begin.elapsed())
}

fn held_by_child(context: &TestContext<'_>) -> Verdict {
    let mut stdout = Vec::new();
    let stdio = ExecStdio::new(Source::empty(), Sink::borrowed(&mut stdout));
    // How long any command takes on this machine now.
    let usual = context.run(&Script::Exit(0))?.elapsed;
    let result = bridge(context, &Script::Leave(8), stdio)?;
    ensure!(result.success(), "the outcome is {}", result.outcome)?;
    same_bytes("what the command itself wrote", &stdout, b"done")?;
    ensure_eq!(result.stdout.end, StreamEnd::LeftOpen, "the end of stdout")?;
    let limit = Duration::from_secs(6) + usual;
    ensure!(result.elapsed < limit, "the call was held for {:?}, of {usual:?}", result.elapsed)
}

/// The command was running when a stream failed: the report must say that it was ended.
pub(super) fn check_report(context: &TestContext<'_>, error: &Error) -> Verdict {
    let report = interrupted(context, error, true)?;
    ensure!(report.outcome != KillOutcome::NeverStarted, "the report says that the command never started")?;
    if context.can(Capability::VerifiedKill) {
        ensure_eq!(report.outcome, KillOutcome::Gone, "the fate")?;
    }
    Ok(())
}

/// Returns some bytes and then fails.
struct Failing(&'static [u8]);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(io::Error::other("the suite's source has failed")),
            moved => moved,
        }
    }
}

/// Takes some bytes and then fails.
pub(super) struct Full(pub(super) usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the suite's sink has failed"));
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failing_source(context: &TestContext<'_>) -> Verdict {
    let stdio = ExecStdio::new(Source::reader(Failing(b"some bytes")), Sink::discard());
    let answer = context.standing()?.exec_stdio(&context.request(&Script::Cat)?, stdio, &timeout());
    let error = refused(answer, ErrorKind::SourceFailed)?;
    check_report(context, &error)
}

fn failing_sink(context: &TestContext<'_>) -> Verdict {
    let begin = Instant::now();
    let mut full = Full(1000);
    let stdio = ExecStdio::new(Source::empty(), Sink::borrowed(&mut full));
    let answer = context.standing()?.exec_stdio(&context.request(&Script::Endless)?, stdio, &timeout());
    let error = refused(answer, ErrorKind::SinkFailed)?;
    ensure!(begin.elapsed() < Duration::from_secs(15), "the call was held for {:?}", begin.elapsed())?;
    check_report(context, &error)
}

fn closed_pipe(context: &TestContext<'_>) -> Verdict {
    let (reader, writer) = io::pipe()?;
    drop(reader);
    let stdio = ExecStdio::new(Source::empty(), Sink::descriptor(writer));
    let answer = context.standing()?.exec_stdio(&context.request(&Script::Endless)?, stdio, &timeout());
    let error = refused(answer, ErrorKind::SinkFailed)?;
    check_report(context, &error)
}

fn deadline(context: &TestContext<'_>) -> Verdict {
    let standing = context.warm_standing()?;
    let limit = context.allow(Duration::from_secs(1));
    let begin = Instant::now();
    let (reader, writer) = io::pipe()?;
    let mut stdout = Vec::new();
    let (answer, held) = {
        let stdio = ExecStdio::new(Source::descriptor(reader), Sink::borrowed(&mut stdout));
        let request = context.request(&Script::Hold { shape: Shape::Alone, token: context.token() })?;
        (standing.exec_stdio(&request, stdio, &Until::after(limit)), begin.elapsed())
    };
    drop(writer);
    let error = refused(answer, ErrorKind::TimedOut)?;
    ensure!(held < limit + Duration::from_secs(5), "the call took {held:?}")?;
    same_bytes("stdout until then", &stdout, b"held\n")?;
    let Some(PartialOutput::Streams { stdout, .. }) = error.partial() else {
        return Err(Failure::new(format!("nothing says what was moved: {error:?}")));
    };
    ensure_eq!(stdout.bytes, 5, "the bytes of stdout")?;
    check_report(context, &error)
}

fn deadline_leaves_nothing(context: &TestContext<'_>) -> Verdict {
    let token = context.token();
    let request = context.request(&Script::Hold { shape: Shape::Background, token })?;
    let standing = context.warm_standing()?;
    let until = Until::after(context.allow(Duration::from_secs(1)));
    let answer = standing.exec_stdio(&request, ExecStdio::default(), &until);
    let error = refused(answer, ErrorKind::TimedOut)?;
    check_report(context, &error)?;
    if context.can(Capability::VerifiedKill) && context.has(Need::Processes) {
        ensure_eq!(TestContext::count(standing.as_ref(), token)?, 0, "the processes that are left")?;
    }
    Ok(())
}

fn cancel(context: &TestContext<'_>) -> Verdict {
    let token = CancelToken::new();
    let until = timeout().or_cancelled(&token);
    let request = context.request(&Script::Cat)?;
    let standing = context.warm_standing()?;
    let (reader, writer) = io::pipe()?;
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(context.allow(Duration::from_secs(1)));
            token.cancel();
        });
        standing.exec_stdio(&request, ExecStdio::new(Source::descriptor(reader), Sink::discard()), &until)
    });
    drop(writer);
    let error = refused(answer, ErrorKind::Cancelled)?;
    check_report(context, &error)
}

fn not_started(context: &TestContext<'_>) -> Verdict {
    let request = context.request(&Script::Cat)?;
    let stdio = ExecStdio::new(Source::bytes("x"), Sink::discard());
    let answer = context.standing()?.exec_stdio(&request, stdio, &Until::after(Duration::ZERO));
    let report = interrupted(context, &refused(answer, ErrorKind::TimedOut)?, true)?;
    ensure_eq!(report.outcome, KillOutcome::NeverStarted, "the fate")
}

fn two_at_once(context: &TestContext<'_>) -> Verdict {
    let answers = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4_u8)
            .map(|number| {
                scope.spawn(move || piped(context, &Script::Cat, Source::bytes(vec![number; 100_000])))
            })
            .collect();
        runs.into_iter().map(joined).collect::<Vec<_>>()
    });
    for (number, answer) in (0..).zip(answers) {
        same_bytes("stdout of one of four", &answer?.1, &vec![number; 100_000])?;
    }
    Ok(())
}

fn not_found(context: &TestContext<'_>) -> Verdict {
    let request = ExecRequest::new(["rt-no-such-command"])?;
    let answer = context.standing()?.exec_stdio(&request, ExecStdio::default(), &timeout());
    never_started(&refused(answer, ErrorKind::CommandNotFound)?)
}
