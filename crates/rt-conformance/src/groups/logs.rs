//! Logs: their contents, and how their streams behave.

use std::time::{Duration, Instant};

use rt_protocol::{
    Capability, Container, ContainerExt, ErrorKind, LogLine, LogOptions, OutputStream, Pull, PullStream,
    Until,
};

use crate::ensure::ensure_refused;
use crate::script::pattern;
use crate::threads::cancelled;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Logs, run).can(LOGS).needs(&[Need::MainProcess])
}

const LOGS: &[Capability] =
    &[Capability::Logs, Capability::Create, Capability::Start, Capability::ForceRemove];
const STOP: &[Capability] =
    &[Capability::Logs, Capability::Create, Capability::Start, Capability::ForceRemove, Capability::Stop];

pub(super) const CASES: &[Case] = &[
    fact("logs: both streams are there, each line with its own", both_streams),
    fact("logs: the lines of one output alone, when asked", one_output),
    fact("logs: an unterminated last line is a line", unterminated),
    fact("logs: empty lines are lines", empty_lines),
    fact("logs: bytes that are not UTF-8 stay, and read as replacements", odd_bytes),
    fact("logs: lines keep their order", order),
    fact("logs: much on both streams arrives whole", much),
    fact("logs: a silent container has an empty log", silent),
    fact("logs: tail gives the last lines", tail),
    fact("logs: a tail of nothing is nothing", tail_zero),
    fact("logs: without asking for them lines carry no time", no_times),
    fact("logs: with times each line carries its own", times),
    fact("logs: since leaves out what was before", since),
    fact("logs: a line that is too long is cut and counted", long_line),
    fact("logs: without follow the log of a running container ends", ends_while_running),
    fact("logs: follow brings lines as they come", follow),
    fact("logs: follow ends with the container", follow_ends).can(STOP),
    fact("logs: a follower of a container that has ended gets every line", follow_ended),
    fact("logs: a slow follower loses nothing", follow_slowly),
    fact("logs: follow goes on after what tail gave", follow_tail),
    fact("logs: follow brings what is written from now on, whatever time was asked for", follow_since),
    fact("logs: a pull that ends is idle, and the stream stays good", idle),
    fact("logs: a cancelled pull is idle", cancelled_pull),
    fact("logs: after close there is the end, and closing twice is fine", close),
    fact("logs: a dropped stream leaves nothing behind", dropped),
    fact("logs: two readers read each the whole", two_readers),
    fact("logs: the absent have no log, and say so", absent_log).needs(&[]),
    fact("logs: removal ends a follower", removal_ends),
];

/// Two lines on stdout, one on stderr, the last one of stdout unterminated.
fn sample() -> Script {
    Script::Say { stdout: b"one\n\nthree".to_vec(), stderr: b"wrong\n".to_vec(), code: 0 }
}

/// Writes a line and stays.
fn talker() -> Script {
    Script::SayAndStand { stdout: b"begun\n".to_vec(), stderr: Vec::new() }
}

/// Pulls to the end.
fn all(stream: &mut dyn PullStream<LogLine>) -> Result<Vec<LogLine>, Failure> {
    let mut lines = Vec::new();
    let until = timeout();
    loop {
        match stream.pull(&until)? {
            Pull::Item(line) => lines.push(line),
            Pull::End => return Ok(lines),
            Pull::Pending => return Err(Failure::new(format!("no end after {} lines", lines.len()))),
        }
    }
}

fn read(container: &dyn Container, options: &LogOptions) -> Result<Vec<LogLine>, Failure> {
    all(container.logs(options, &timeout())?.as_mut())
}

fn of(lines: &[LogLine], stream: OutputStream) -> Vec<String> {
    lines.iter().filter(|line| line.stream == stream).map(|line| line.text().into_owned()).collect()
}

/// Returns the next line; fails if there is none.
fn next(stream: &mut dyn PullStream<LogLine>) -> Result<LogLine, Failure> {
    match stream.pull(&timeout())? {
        Pull::Item(line) => Ok(line),
        other => Err(Failure::new(format!("expected a line, saw {other:?}"))),
    }
}

fn both_streams(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&sample())?.as_ref(), &LogOptions::new())?;
    ensure_eq!(of(&lines, OutputStream::Stdout), ["one", "", "three"], "the lines of stdout")?;
    ensure_eq!(of(&lines, OutputStream::Stderr), ["wrong"], "the lines of stderr")
}

fn one_output(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&sample())?;
    for (stream, expected) in
        [(OutputStream::Stdout, &["one", "", "three"][..]), (OutputStream::Stderr, &["wrong"])]
    {
        let lines = read(container.as_ref(), &LogOptions::new().only(stream))?;
        ensure_eq!(of(&lines, stream), expected, "its lines")?;
        ensure_eq!(lines.len(), expected.len(), "how many lines there are")?;
    }
    Ok(())
}

fn unterminated(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&Script::print("one\nlast"))?.as_ref(), &LogOptions::new())?;
    ensure_eq!(of(&lines, OutputStream::Stdout), ["one", "last"], "the lines")
}

fn empty_lines(context: &TestContext<'_>) -> Verdict {
    let main = Script::print("\n\na\n\n");
    let lines = read(context.cached(&main)?.as_ref(), &LogOptions::new())?;
    ensure_eq!(of(&lines, OutputStream::Stdout), ["", "", "a", ""], "the lines")
}

fn odd_bytes(context: &TestContext<'_>) -> Verdict {
    let main = Script::print(b"a\xffb\n\ttab\n".to_vec());
    let lines = read(context.cached(&main)?.as_ref(), &LogOptions::new())?;
    let texts = of(&lines, OutputStream::Stdout);
    ensure_eq!(texts, ["a\u{fffd}b", "\ttab"], "the lines as text")?;
    ensure_eq!(lines[0].bytes, b"a\xffb", "the bytes of the first line")
}

/// More than any pipe holds, and whole lines of nine bytes.
const FLOOD_BYTES: u64 = 9 * 22_222;

/// Thousands of lines on both streams.
fn flood() -> Script {
    Script::Flood { stdout: FLOOD_BYTES, stderr: FLOOD_BYTES, code: 0 }
}

fn flood_lines() -> Vec<String> {
    String::from_utf8_lossy(&pattern(FLOOD_BYTES)).lines().map(str::to_owned).collect()
}

fn order(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&flood())?.as_ref(), &LogOptions::new())?;
    let texts = of(&lines, OutputStream::Stdout);
    ensure!(texts.is_sorted(), "the lines of stdout are out of order")
}

fn much(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&flood())?.as_ref(), &LogOptions::new())?;
    is_whole_flood(&lines)
}

fn is_whole_flood(lines: &[LogLine]) -> Verdict {
    for stream in [OutputStream::Stdout, OutputStream::Stderr] {
        let (seen, expected) = (of(lines, stream), flood_lines());
        ensure_eq!(seen.len(), expected.len(), "how many lines there are")?;
        ensure!(seen == expected, "the lines of {stream:?} are others")?;
    }
    Ok(())
}

fn follow_ended(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&flood())?;
    let _ = container.wait(&timeout())?;
    is_whole_flood(&read(container.as_ref(), &LogOptions::new().follow())?)
}

fn follow_slowly(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&flood())?;
    let mut stream = container.logs(&LogOptions::new().follow(), &timeout())?;
    let mut lines = vec![next(stream.as_mut())?];
    // The container ended long before its log was read.
    let _ = container.wait(&timeout())?;
    std::thread::sleep(Duration::from_secs(1));
    lines.extend(all(stream.as_mut())?);
    is_whole_flood(&lines)
}

fn silent(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&Script::Exit(0))?.as_ref(), &LogOptions::new())?;
    ensure_eq!(lines, [], "the log")
}

fn counting() -> Script {
    Script::print("1\n2\n3\n4\n5\n")
}

fn tail(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&counting())?;
    for (count, expected) in [(2, &["4", "5"][..]), (100, &["1", "2", "3", "4", "5"])] {
        let lines = read(container.as_ref(), &LogOptions::new().tail(count))?;
        ensure_eq!(of(&lines, OutputStream::Stdout), expected, &format!("the last {count} lines"))?;
    }
    Ok(())
}

fn tail_zero(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&counting())?.as_ref(), &LogOptions::new().tail(0))?;
    ensure_eq!(lines, [], "the last 0 lines")
}

fn no_times(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&counting())?.as_ref(), &LogOptions::new())?;
    ensure!(!lines.is_empty() && lines.iter().all(|line| line.timestamp.is_none()), "the lines are {lines:?}")
}

fn times(context: &TestContext<'_>) -> Verdict {
    let lines = read(context.cached(&counting())?.as_ref(), &LogOptions::new().timestamps())?;
    ensure_eq!(
        of(&lines, OutputStream::Stdout),
        ["1", "2", "3", "4", "5"],
        "the lines, without their times"
    )?;
    // The suite created the container within the last hour, whatever the clocks say.
    let hour = Duration::from_secs(3600);
    let now = context.fixture().now();
    for line in lines {
        let plausible = line.timestamp.is_some_and(|at| at > now - hour && at < now + hour);
        ensure!(plausible, "the time of {:?} is {:?}", line.text(), line.timestamp)?;
    }
    Ok(())
}

fn since(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&counting())?;
    let hour = Duration::from_secs(3600);
    let lines = read(container.as_ref(), &LogOptions::new().since(context.fixture().now() - hour))?;
    ensure_eq!(lines.len(), 5, "the lines since an hour ago")?;
    let lines = read(container.as_ref(), &LogOptions::new().since(context.fixture().now() + hour))?;
    ensure_eq!(lines, [], "the lines since an hour from now")
}

fn long_line(context: &TestContext<'_>) -> Verdict {
    let main = Script::print("0123456789abcdef\nshort\n");
    let lines = read(context.cached(&main)?.as_ref(), &LogOptions::new().max_line_bytes(10))?;
    ensure_eq!(lines.len(), 2, "how many lines there are")?;
    ensure_eq!((&lines[0].bytes[..], lines[0].omitted), (&b"0123456789"[..], 6), "the long line")?;
    ensure_eq!((&lines[1].bytes[..], lines[1].omitted), (&b"short"[..], 0), "the short line")
}

fn ends_while_running(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&talker())?;
    // The line may take a moment to get from the container into the log.
    TestContext::eventually("the line is in the log", || {
        let lines = read(container.as_ref(), &LogOptions::new())?;
        Ok((of(&lines, OutputStream::Stdout) == ["begun"]).then_some(()))
    })?;
    ensure!(container.running(timeout())?, "the container has ended")
}

fn follow(context: &TestContext<'_>) -> Verdict {
    let main = Script::SayTwice { first: b"one\n".to_vec(), seconds: 2, second: b"two\n".to_vec(), code: 0 };
    let container = context.started(&main)?;
    let mut stream = container.logs(&LogOptions::new().follow(), &timeout())?;
    ensure_eq!(next(stream.as_mut())?.text(), "one", "the first line")?;
    let begin = Instant::now();
    ensure_eq!(next(stream.as_mut())?.text(), "two", "the second line")?;
    ensure!(begin.elapsed() < Duration::from_secs(10), "the second line took {:?}", begin.elapsed())?;
    ensure_eq!(stream.pull(&timeout())?, Pull::End, "what comes after the last line")
}

fn follow_ends(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&talker())?;
    let mut stream = container.logs(&LogOptions::new().follow(), &timeout())?;
    ensure_eq!(next(stream.as_mut())?.text(), "begun", "the first line")?;
    container.stop(Duration::from_secs(10), &timeout())?;
    ensure_eq!(stream.pull(&timeout())?, Pull::End, "what comes after the stop")
}

fn follow_tail(context: &TestContext<'_>) -> Verdict {
    let main = Script::SayTwice { first: b"a\nb\n".to_vec(), seconds: 2, second: b"c\n".to_vec(), code: 0 };
    let container = context.started(&main)?;
    TestContext::eventually("the first lines are in the log", || {
        Ok((read(container.as_ref(), &LogOptions::new())?.len() >= 2).then_some(()))
    })?;
    let mut stream = container.logs(&LogOptions::new().follow().tail(1), &timeout())?;
    let mut lines = vec![next(stream.as_mut())?];
    // On a busy machine, the following lines may have been written before the log was opened, and
    // be the whole log.
    let is_early = read(container.as_ref(), &LogOptions::new())?.len() == 2;
    lines.extend(all(stream.as_mut())?);
    let told = of(&lines, OutputStream::Stdout);
    if is_early || told.len() != 1 {
        ensure_eq!(told, ["b", "c"], "the last line and what followed")?;
    }
    ensure_eq!(told.last().map(String::as_str), Some("c"), "what came last")
}

/// A clock was set back, and the time of the last line is in the future.
fn follow_since(context: &TestContext<'_>) -> Verdict {
    let main = Script::SayTwice { first: b"a\n".to_vec(), seconds: 2, second: b"b\n".to_vec(), code: 0 };
    let container = context.started(&main)?;
    TestContext::eventually("the first line is in the log", || {
        Ok((!read(container.as_ref(), &LogOptions::new())?.is_empty()).then_some(()))
    })?;
    let later = context.fixture().now() + Duration::from_secs(3600);
    let mut stream = container.logs(&LogOptions::new().follow().since(later), &timeout())?;
    // On a busy machine, the second line may have been written before the log was opened.
    let is_early = read(container.as_ref(), &LogOptions::new())?.len() == 1;
    let told = of(&all(stream.as_mut())?, OutputStream::Stdout);
    if is_early || !told.is_empty() {
        ensure_eq!(told, ["b"], "what was written from then on")?;
    }
    Ok(())
}

fn follower(context: &TestContext<'_>) -> Result<Box<dyn PullStream<LogLine>>, Failure> {
    let mut stream = context.cached(&talker())?.logs(&LogOptions::new().follow(), &timeout())?;
    ensure_eq!(next(stream.as_mut())?.text(), "begun", "the first line")?;
    Ok(stream)
}

fn idle(context: &TestContext<'_>) -> Verdict {
    let mut stream = follower(context)?;
    for _ in 0..2 {
        let begin = Instant::now();
        let pulled = stream.pull(&Until::after(Duration::from_millis(200)))?;
        ensure_eq!(pulled, Pull::Pending, "a pull of 200 ms on a quiet log")?;
        let took = begin.elapsed();
        ensure!(
            took >= Duration::from_millis(190) && took < Duration::from_secs(5),
            "the pull took {took:?}"
        )?;
    }
    Ok(stream.close()?)
}

fn cancelled_pull(context: &TestContext<'_>) -> Verdict {
    let mut stream = follower(context)?;
    ensure_eq!(cancelled(|until| stream.pull(until))?, Pull::Pending, "a cancelled pull")?;
    ensure_eq!(stream.pull(&Until::after(Duration::from_millis(100)))?, Pull::Pending, "the pull after it")
}

fn close(context: &TestContext<'_>) -> Verdict {
    let mut stream = follower(context)?;
    stream.close()?;
    stream.close()?;
    ensure_eq!(stream.pull(&timeout())?, Pull::End, "a pull after close")
}

/// The suite counts afterwards.
fn dropped(context: &TestContext<'_>) -> Verdict {
    drop(follower(context)?);
    drop(context.cached(&talker())?.logs(&LogOptions::new().follow(), &timeout())?);
    drop(context.cached(&flood())?.logs(&LogOptions::new(), &timeout())?);
    Ok(())
}

fn two_readers(context: &TestContext<'_>) -> Verdict {
    let container = context.cached(&counting())?;
    let mut first = container.logs(&LogOptions::new(), &timeout())?;
    let mut second = container.logs(&LogOptions::new(), &timeout())?;
    let (first, second) = (all(first.as_mut())?, all(second.as_mut())?);
    ensure_eq!(first.len(), 5, "the lines of the first reader")?;
    ensure_eq!(second, first, "the lines of the second reader")
}

fn absent_log(context: &TestContext<'_>) -> Verdict {
    for options in [LogOptions::new(), LogOptions::new().follow()] {
        // The backend may report it when the log is opened or when it is read.
        let answer = context
            .missing_container()?
            .logs(&options, &timeout())
            .and_then(|mut stream| stream.pull(&timeout()));
        ensure_refused(answer, ErrorKind::NoSuchContainer)?;
    }
    Ok(())
}

fn removal_ends(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&talker())?;
    let mut stream = container.logs(&LogOptions::new().follow(), &timeout())?;
    ensure_eq!(next(stream.as_mut())?.text(), "begun", "the first line")?;
    context.remove(container.as_ref())?;
    match stream.pull(&timeout()) {
        Ok(Pull::End) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NoSuchContainer => Ok(()),
        other => Err(Failure::new(format!("after the removal the stream answers {other:?}"))),
    }
}
