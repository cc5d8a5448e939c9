//! Facts about logs: options, delays, following, readiness.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::thread;
use std::time::{Duration, SystemTime};

use rt_null::{LogScript, NullRuntime};
use rt_protocol::{
    CancelToken, Container, ContainerName, ContainerRuntime, ContainerState, ErrorKind, LogLine, LogOptions,
    OutputStream, Pull, PullStream, Readiness, Result, Until,
};

const LONG: Duration = Duration::from_secs(3600);

fn web(runtime: &NullRuntime, script: LogScript) -> std::sync::Arc<dyn Container> {
    runtime.set_state("web", ContainerState::Running).unwrap();
    runtime.set_logs("web", script).unwrap();
    runtime.container(&ContainerName::new("web").unwrap())
}

fn rest(mut stream: Box<dyn PullStream<LogLine>>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Pull::Item(line) = stream.pull(&Until::after(Duration::from_millis(5))).unwrap() {
        lines.push(line.text().into_owned());
    }
    lines
}

#[test]
fn lines_are_tagged_cut_and_counted_over_both_streams() -> Result<()> {
    let runtime = NullRuntime::new();
    let web = web(&runtime, LogScript::new().line("one").error_line("two").line("three"));
    assert_eq!(rest(web.logs(&LogOptions::new(), &Until::forever())?), ["one", "two", "three"]);
    assert_eq!(rest(web.logs(&LogOptions::new().tail(2), &Until::forever())?), ["two", "three"]);
    assert_eq!(rest(web.logs(&LogOptions::new().tail(0), &Until::forever())?), [""; 0]);
    assert_eq!(rest(web.logs(&LogOptions::new().tail(9).follow(), &Until::forever())?).len(), 3);
    let mut stream = web.logs(&LogOptions::new().max_line_bytes(2).timestamps(), &Until::forever())?;
    let Pull::Item(line) = stream.pull(&Until::forever())? else { panic!() };
    assert_eq!((&line.bytes[..], line.omitted, line.stream), (&b"on"[..], 1, OutputStream::Stdout));
    assert!(line.timestamp.is_some());
    stream.close()?;
    stream.close()?;
    assert_eq!(stream.pull(&Until::forever())?, Pull::End);
    Ok(())
}

#[test]
fn since_looks_at_the_time_of_each_line() -> Result<()> {
    let runtime = NullRuntime::new();
    let mut old = LogLine::new(OutputStream::Stdout, "old");
    old.timestamp = Some(SystemTime::UNIX_EPOCH);
    let web = web(&runtime, LogScript::new().log_line(old).line("new"));
    let since = SystemTime::UNIX_EPOCH + LONG;
    assert_eq!(rest(web.logs(&LogOptions::new().since(since), &Until::forever())?), ["new"]);
    assert_eq!(rest(web.logs(&LogOptions::new().since(since).tail(5), &Until::forever())?), ["new"]);
    Ok(())
}

#[test]
fn a_line_that_is_not_due_is_waited_for_by_the_clock_alone() -> Result<()> {
    let runtime = NullRuntime::new();
    let web = web(&runtime, LogScript::new().line("now").delay(LONG).line("later"));
    assert_eq!(rest(web.logs(&LogOptions::new(), &Until::forever())?), ["now"]);
    let mut stream = web.logs(&LogOptions::new().follow(), &Until::forever())?;
    assert!(matches!(stream.pull(&Until::forever())?, Pull::Item(_)));
    assert_eq!(stream.pull(&Until::after(LONG / 2))?, Pull::Pending);
    assert!(matches!(stream.pull(&Until::after(LONG))?, Pull::Item(line) if line.text() == "later"));
    assert_eq!(rest(web.logs(&LogOptions::new(), &Until::forever())?).len(), 2);
    Ok(())
}

#[test]
fn a_follower_sees_new_lines_and_the_end() -> Result<()> {
    let runtime = NullRuntime::new();
    let web = web(&runtime, LogScript::new());
    let mut stream = web.logs(&LogOptions::new().follow(), &Until::forever())?;
    let follower = thread::spawn(move || {
        let mut lines = Vec::new();
        while let Pull::Item(line) = stream.pull(&Until::forever()).unwrap() {
            lines.push(line.text().into_owned());
        }
        lines
    });
    for line in ["one", "two"] {
        runtime.push_log("web", LogLine::new(OutputStream::Stderr, line))?;
    }
    web.stop(Duration::ZERO, &Until::forever())?;
    assert_eq!(follower.join().unwrap(), ["one", "two"]);
    Ok(())
}

#[test]
fn a_cancelled_pull_is_idle_and_the_stream_stays_good() -> Result<()> {
    let runtime = NullRuntime::new();
    let web = web(&runtime, LogScript::new());
    let mut stream = web.logs(&LogOptions::new().follow(), &Until::forever())?;
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(stream.pull(&Until::cancelled(&token))?, Pull::Pending);
    runtime.push_log("web", LogLine::new(OutputStream::Stdout, "here"))?;
    assert!(matches!(stream.pull(&Until::forever())?, Pull::Item(_)));
    Ok(())
}

#[test]
fn readiness_is_watched_set_or_given() -> Result<()> {
    let runtime = NullRuntime::new();
    let web = web(&runtime, LogScript::from_iter(["booting", ">> init complete", "more"]));
    let watch = |until: &Until| {
        let mut echo = Vec::new();
        let answer = web.stream_initial_logs(&mut |line| line == ">> init complete", &mut echo, until);
        (answer, String::from_utf8(echo).unwrap())
    };
    let (answer, echo) = watch(&Until::forever());
    assert_eq!(answer?, Readiness::Ready(">> init complete".into()));
    assert_eq!(echo, "booting\n>> init complete\n");

    runtime.set_logs("web", LogScript::new().line("booting"))?;
    runtime.clock().skip_waits(true);
    assert_eq!(watch(&Until::after(LONG)).0?, Readiness::TimedOut);
    assert_eq!(watch(&Until::after(Duration::ZERO)).0?, Readiness::TimedOut);
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(watch(&Until::cancelled(&token)).0.unwrap_err().kind(), ErrorKind::Cancelled);
    runtime.end("web", 1)?;
    assert_eq!(watch(&Until::forever()).0?, Readiness::Ended);

    runtime.set_readiness("web", Readiness::Ready("said so".into()))?;
    let (answer, echo) = watch(&Until::forever());
    assert_eq!((answer?, echo.as_str()), (Readiness::Ready("said so".into()), "booting\n"));

    runtime.set_state("mute", ContainerState::Running)?;
    let mute = runtime.container(&ContainerName::new("mute")?);
    let answer = mute.stream_initial_logs(&mut |_| false, &mut Vec::new(), &Until::forever())?;
    assert!(answer.is_ready());
    Ok(())
}

#[test]
fn a_failing_echo_is_a_failing_sink() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let runtime = NullRuntime::new();
    let web = web(&runtime, LogScript::new().line("x"));
    let error = web.stream_initial_logs(&mut |_| false, &mut Full, &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkFailed);
}
