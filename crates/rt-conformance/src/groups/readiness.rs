//! Readiness: waiting for a line of a log, and for several conditions.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use rt_protocol::{CancelToken, Capability, ErrorKind, PartialOutput, Readiness, ReadyWhen, Until};

use crate::ensure::{ensure_refused, refused};
use crate::failing_stream::FailingStream;
use crate::timeout::timeout;
use crate::{Case, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Readiness, run).can(LOGS).needs(&[Need::MainProcess])
}

const LOGS: &[Capability] =
    &[Capability::Logs, Capability::Create, Capability::Start, Capability::ForceRemove];

pub(super) const CASES: &[Case] = &[
    fact("readiness: the first line that is a sign is the answer", ready),
    fact("readiness: a sign on stderr counts too", ready_on_stderr),
    fact("readiness: each line is shown, whole and up to the sign", echoed),
    fact("readiness: a deadline is an answer", timed_out),
    fact("readiness: a log that ends without a sign is an answer", ended),
    fact("readiness: a sign in an unterminated last line is seen", unterminated),
    fact("readiness: lines of a fast exit are not joined", fast_exit),
    fact("readiness: a cancel is an error", cancelled),
    fact("readiness: a panic of the test passes through", panics),
    fact("readiness: a failing echo is an error", failing_echo),
    fact("readiness: the absent are an error", absent).needs(&[]),
    fact("readiness: several conditions are met by what was and what is", all_of_them),
    fact("readiness: a condition that is not met is named at the deadline", not_met),
    fact("readiness: what has ended is not ready, and its last words are there", not_ready_any_more),
];

fn starting() -> Script {
    Script::SayAndStand {
        stdout: b"loading\n>> init complete\nserving\n".to_vec(),
        stderr: b"warned\n".to_vec(),
    }
}

fn lines() -> Script {
    Script::print("a\nb\nc\nlast")
}

fn ready(context: &TestContext<'_>) -> Verdict {
    let mut sign = |line: &str| line.contains("init complete");
    let answer = context.cached(&starting())?.stream_initial_logs(&mut sign, &mut io::sink(), &timeout())?;
    ensure_eq!(answer, Readiness::Ready(">> init complete".into()), "the answer")
}

fn ready_on_stderr(context: &TestContext<'_>) -> Verdict {
    let answer = context.cached(&starting())?.stream_initial_logs(
        &mut |line| line == "warned",
        &mut io::sink(),
        &timeout(),
    )?;
    ensure_eq!(answer, Readiness::Ready("warned".into()), "the answer")
}

fn echoed(context: &TestContext<'_>) -> Verdict {
    let mut echo = Vec::new();
    let answer =
        context.cached(&lines())?.stream_initial_logs(&mut |line| line == "c", &mut echo, &timeout())?;
    ensure_eq!(answer, Readiness::Ready("c".into()), "the answer")?;
    ensure_eq!(String::from_utf8_lossy(&echo), "a\nb\nc\n", "what was shown")
}

fn timed_out(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&starting())?;
    // Opening a log asks the engine, which takes its time on a busy machine.
    let (known, question) = context.timed(|| container.inspect(&timeout()));
    let _ = known?;
    let (begin, limit) = (Instant::now(), Duration::from_millis(700).max(4 * question));
    let answer = container.stream_initial_logs(&mut |_| false, &mut io::sink(), &Until::after(limit))?;
    ensure_eq!(answer, Readiness::TimedOut, "the answer")?;
    ensure!(begin.elapsed() < limit + Duration::from_secs(9), "{limit:?} took {:?}", begin.elapsed())
}

fn ended(context: &TestContext<'_>) -> Verdict {
    let mut echo = Vec::new();
    let answer = context.cached(&lines())?.stream_initial_logs(&mut |_| false, &mut echo, &timeout())?;
    ensure_eq!(answer, Readiness::Ended, "the answer")?;
    ensure_eq!(String::from_utf8_lossy(&echo), "a\nb\nc\nlast\n", "what was shown")
}

fn unterminated(context: &TestContext<'_>) -> Verdict {
    let answer = context.cached(&lines())?.stream_initial_logs(
        &mut |line| line == "last",
        &mut io::sink(),
        &timeout(),
    )?;
    ensure_eq!(answer, Readiness::Ready("last".into()), "the answer")
}

fn fast_exit(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&lines())?;
    let mut seen = Vec::new();
    let mut note = |line: &str| {
        seen.push(line.to_owned());
        false
    };
    let answer = container.stream_initial_logs(&mut note, &mut io::sink(), &timeout())?;
    ensure_eq!(answer, Readiness::Ended, "the answer")?;
    ensure_eq!(seen, ["a", "b", "c", "last"], "the lines that were offered")
}

fn cancelled(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&starting())?;
    let token = CancelToken::new();
    let until = timeout().or_cancelled(&token);
    // Cancelled from within: the watch waits for a line that never comes.
    let mut sign = |line: &str| {
        if line == "serving" {
            token.cancel();
        }
        false
    };
    ensure_refused(container.stream_initial_logs(&mut sign, &mut io::sink(), &until), ErrorKind::Cancelled)
}

fn panics(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&starting())?;
    // `resume_unwind` instead of `panic!`, so that nothing is printed for an intended panic.
    let mut sign = |_: &str| -> bool { resume_unwind(Box::new("the suite's own panic")) };
    let caught = catch_unwind(AssertUnwindSafe(|| {
        container.stream_initial_logs(&mut sign, &mut io::sink(), &timeout())
    }));
    let text = caught.err().and_then(|panic| panic.downcast_ref::<&str>().copied());
    ensure_eq!(text, Some("the suite's own panic"), "the panic that came through")
}

fn failing_echo(context: &TestContext<'_>) -> Verdict {
    let answer =
        context.cached(&starting())?.stream_initial_logs(&mut |_| false, &mut FailingStream, &timeout());
    ensure_refused(answer, ErrorKind::SinkFailed)
}

fn absent(context: &TestContext<'_>) -> Verdict {
    let answer = context.missing_container()?.stream_initial_logs(&mut |_| true, &mut io::sink(), &timeout());
    ensure_refused(answer, ErrorKind::NoSuchContainer)
}

/// Longer than any round of checks takes.
const ROUNDS: Duration = Duration::from_secs(10);

fn init_complete() -> ReadyWhen {
    ReadyWhen::new().log_line("the sign", |line| line.contains("init complete"))
}

/// The line was written long before, and the command runs now.
fn all_of_them(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&starting())?;
    let when = init_complete().exec(context.request(&Script::Exit(0))?);
    let ready = when.wait(container.as_ref(), Until::after(ROUNDS))?;
    ensure_eq!(ready.lines, [">> init complete"], "the lines that were signs")
}

fn not_met(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&starting())?;
    let when = init_complete().exec(context.request(&Script::Exit(4))?);
    context.warm_up_in(container.as_ref())?;
    let until = Until::after(context.allow(Duration::from_millis(700)));
    let error = refused(when.wait(container.as_ref(), &until), ErrorKind::TimedOut)?;
    let text = error.to_string();
    ensure!(text.contains("exit code 4"), "it does not say what was not met: {text}")
}

fn not_ready_any_more(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&lines())?;
    let when = ReadyWhen::new().log_line("a line of it", |line| line == "a");
    let error = refused(when.wait(container.as_ref(), Until::after(ROUNDS)), ErrorKind::NotRunning)?;
    let last = match error.partial() {
        Some(PartialOutput::Output { stdout, .. }) => stdout.text().into_owned(),
        _ => String::new(),
    };
    ensure!(last.ends_with("last\n"), "its last words are {last:?}")
}
