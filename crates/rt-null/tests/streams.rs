//! Facts about bridged commands: every kind of source and sink, scripts, handlers, ends. Captured
//! commands are in `commands`.

#[path = "fixture/broken.rs"]
mod broken;
#[path = "fixture/cat.rs"]
mod cat;

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rt_null::{ArgvPattern, ExecReply, Fault, Operation, Scope, StdioScript, When};
use rt_protocol::{
    CancelToken, Error, ErrorKind, ExecStdio, ExitOutcome, KillOutcome, PartialOutput, Result, Sink, Source,
    StdioResult, StreamEnd, Until,
};

use broken::Broken;
use cat::{bridge, running};

const LONG: Duration = Duration::from_secs(3600);

fn ends(result: &StdioResult) -> (StreamEnd, StreamEnd) {
    (result.stdin.end, result.stdout.end)
}

fn streams_of(error: &Error) -> (u64, u64) {
    match error.partial() {
        Some(PartialOutput::Streams { stdin, stdout, .. }) => (stdin.bytes, stdout.bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_socket_that_keeps_messages_apart_is_refused() -> Result<()> {
    let runtime = running();
    for as_source in [true, false] {
        let socket = UnixDatagram::unbound()
            .map_err(|error| Error::new(ErrorKind::System, "make a socket", error.to_string()))?;
        let stdio = if as_source {
            ExecStdio::new(Source::descriptor(socket), Sink::discard())
        } else {
            ExecStdio::new(Source::empty(), Sink::descriptor(socket))
        };
        match bridge(&runtime, "cat", stdio, &Until::forever()) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}"),
            Ok(result) => panic!("{result:?}"),
        }
    }
    Ok(())
}

#[test]
fn bytes_go_through_every_kind_of_source_and_sink() -> Result<()> {
    let runtime = running();
    let data: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let forever = Until::forever();

    let mut echo = Vec::new();
    let stdio = ExecStdio::new(Source::bytes(data.clone()), Sink::borrowed(&mut echo));
    let result = bridge(&runtime, "cat", stdio, &forever)?;
    assert_eq!((result.stdin.bytes, result.stdout.bytes), (300_000, 300_000));
    assert_eq!(ends(&result), (StreamEnd::Eof, StreamEnd::Eof));
    assert_eq!(echo, data);

    let (sender, receiver) = mpsc::channel();
    let source = Source::reader(io::Cursor::new(data.clone()));
    let result = bridge(&runtime, "cat", ExecStdio::new(source, Sink::writer(Sender(sender))), &forever)?;
    assert_eq!(ends(&result), (StreamEnd::Eof, StreamEnd::Eof));
    // The sink is gone by now, so the channel ends.
    assert_eq!(receiver.iter().flatten().collect::<Vec<u8>>(), data);

    let (mut near, far) = UnixStream::pair().unwrap();
    let (out, mut seen) = UnixStream::pair().unwrap();
    let copy = data.clone();
    let writer = thread::spawn(move || {
        near.write_all(&copy).unwrap();
        drop(near);
    });
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        seen.read_to_end(&mut all).unwrap();
        all
    });
    let stdio = ExecStdio::new(Source::descriptor(far), Sink::descriptor(out));
    let result = bridge(&runtime, "cat", stdio, &forever)?;
    assert_eq!(ends(&result), (StreamEnd::Eof, StreamEnd::Eof));
    writer.join().unwrap();
    assert_eq!(reader.join().unwrap(), data);
    Ok(())
}

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

#[test]
fn a_short_message_on_an_open_stream_is_answered_before_its_end() -> Result<()> {
    let runtime = running();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let input = theirs.try_clone().unwrap();
    let call = thread::spawn(move || {
        let stdio = ExecStdio::new(Source::descriptor(input), Sink::descriptor(theirs));
        bridge(&runtime, "cat", stdio, &Until::forever())
    });
    ours.write_all(b"hello there").unwrap();
    let mut answer = [0; 11];
    ours.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello there");
    ours.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(call.join().unwrap()?.success());
    Ok(())
}

#[test]
fn an_unscripted_command_swallows_its_stdin() -> Result<()> {
    let runtime = running();
    let result =
        bridge(&runtime, "sink", ExecStdio::new(Source::bytes("abc"), Sink::discard()), &Until::forever())?;
    assert!(result.success());
    assert_eq!((result.stdin.bytes, result.stdin.end), (3, StreamEnd::Eof));
    let result = bridge(&runtime, "sink", ExecStdio::default(), &Until::forever())?;
    assert_eq!(result.stdin.end, StreamEnd::Unused);
    Ok(())
}

#[test]
fn a_captured_script_answers_alike_when_bridged() -> Result<()> {
    let runtime = running();
    runtime.set_exec("job", ["make"], ExecReply::code(2).with_stdout("out").with_stderr("err"))?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let stdio =
        ExecStdio::new(Source::bytes("x"), Sink::borrowed(&mut stdout)).stderr(Sink::borrowed(&mut stderr));
    let result = bridge(&runtime, "make", stdio, &Until::forever())?;
    assert_eq!((result.outcome.code(), result.stdin.end), (Some(2), StreamEnd::ReaderGone));
    assert_eq!((&stdout[..], &stderr[..]), (&b"out"[..], &b"err"[..]));

    runtime.set_exec("job", ["make"], ExecReply::error(ErrorKind::CommandNotFound, "make"))?;
    let error = bridge(&runtime, "make", ExecStdio::default(), &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    assert!(error.never_started());
    Ok(())
}

#[test]
fn what_a_command_does_not_read_stays_in_the_descriptor() -> Result<()> {
    let runtime = running();
    runtime.set_stdio("job", ["head"], StdioScript::new().read("one\n"))?;
    let (mut near, mut far) = UnixStream::pair().unwrap();
    near.write_all(b"one\ntwo\n").unwrap();
    let stdio = ExecStdio::new(Source::borrowed_descriptor(far.as_fd()), Sink::discard());
    let result = bridge(&runtime, "head", stdio, &Until::forever())?;
    assert_eq!((result.stdin.bytes, result.stdin.end), (4, StreamEnd::ReaderGone));
    let mut rest = [0; 4];
    far.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"two\n");
    Ok(())
}

#[test]
fn a_mismatch_shows_both_sides() -> Result<()> {
    let runtime = running();
    runtime.set_stdio("job", ["serve"], StdioScript::new().read("ping\n").write("pong\n").read_end())?;
    let message = |input: &str| {
        let stdio = ExecStdio::new(Source::bytes(input), Sink::discard());
        let error = bridge(&runtime, "serve", stdio, &Until::forever()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed);
        error.message().to_owned()
    };
    assert!(
        message("pi").ends_with(r#"step 1 expected "ping\n", got "pi" and the end"#),
        "{}",
        message("pi")
    );
    assert!(message("").ends_with(r#"expected "ping\n", got the end"#), "{}", message(""));
    let late = message("ping\nmore");
    assert!(late.ends_with(r#"step 3 expected the end, got "m""#), "{late}");
    Ok(())
}

#[test]
fn stdin_that_never_comes_ends_with_the_deadline_or_the_cancel() {
    let runtime = running();
    let soon = || Until::after(Duration::from_millis(20));
    let (_kept_open, silent) = UnixStream::pair().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let sources = [Source::borrowed_descriptor(silent.as_fd()), Source::reader(Blocked(held))];
    for source in sources {
        let error = bridge(&runtime, "cat", ExecStdio::new(source, Sink::discard()), &soon()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::Gone);
        assert_eq!(streams_of(&error), (0, 0));
    }
    drop(release);

    let token = CancelToken::new();
    let until = Until::after(LONG).or_cancelled(&token);
    let own = runtime.clone();
    let call = thread::spawn(move || {
        bridge(&own, "cat", ExecStdio::new(Source::descriptor(silent), Sink::discard()), &until)
    });
    while runtime.stdio_calls().len() < 3 {
        thread::yield_now();
    }
    token.cancel();
    assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn the_clock_reaches_a_command_that_waits_for_stdin() {
    let runtime = running();
    let (_kept_open, silent) = UnixStream::pair().unwrap();
    let own = runtime.clone();
    let call = thread::spawn(move || {
        bridge(&own, "cat", ExecStdio::new(Source::descriptor(silent), Sink::discard()), &Until::after(LONG))
    });
    while !call.is_finished() {
        runtime.clock().advance(LONG);
        thread::yield_now();
    }
    assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
}

/// Blocks until its sender is gone, then ends.
struct Blocked(mpsc::Receiver<()>);

impl Read for Blocked {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(0)
    }
}

#[test]
fn an_owned_sink_that_blocks_does_not_hold_the_call() {
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
    let runtime = running();
    let (release, held) = mpsc::channel();
    let stdio = ExecStdio::new(Source::bytes("abc"), Sink::writer(Stuck(held)));
    let error = bridge(&runtime, "cat", stdio, &Until::after(Duration::from_millis(20))).unwrap_err();
    assert_eq!((error.kind(), streams_of(&error)), (ErrorKind::TimedOut, (3, 0)));
    drop(release);

    // A full pipe delays the call no more than that.
    let (full, _unread) = UnixStream::pair().unwrap();
    let stdio = ExecStdio::new(Source::bytes(vec![0; 8 << 20]), Sink::descriptor(full));
    let error = bridge(&runtime, "cat", stdio, &Until::after(Duration::from_millis(20))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_failing_source_or_sink_ends_the_command_with_its_own_kind() {
    let runtime = running();
    let forever = Until::forever();
    let error = bridge(&runtime, "cat", ExecStdio::new(Source::reader(Broken), Sink::discard()), &forever)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceFailed);
    assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::Gone);

    let mut broken = Broken;
    let (closed, far) = UnixStream::pair().unwrap();
    drop(far);
    for sink in [Sink::writer(Broken), Sink::borrowed(&mut broken), Sink::descriptor(closed)] {
        let error =
            bridge(&runtime, "cat", ExecStdio::new(Source::bytes("abc"), sink), &forever).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SinkFailed);
        assert_eq!(streams_of(&error), (3, 0));
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn a_connection_can_go_away_after_some_bytes() -> Result<()> {
    let runtime = running();
    let mut seen = Vec::new();
    runtime.inject(Operation::ExecStdio, Scope::all(), When::Next, Fault::disconnect_after(10));
    let stdio = ExecStdio::new(Source::bytes("0123456789abcdef"), Sink::borrowed(&mut seen));
    let result = bridge(&runtime, "cat", stdio, &Until::forever())?;
    assert_eq!((result.outcome, result.stdout.bytes), (ExitOutcome::Lost, 10));
    assert_eq!(seen, b"0123456789");
    Ok(())
}

#[test]
fn a_bridged_command_whose_container_stops_is_lost() -> Result<()> {
    let runtime = running();
    let (_kept_open, silent) = UnixStream::pair().unwrap();
    let own = runtime.clone();
    let call = thread::spawn(move || {
        bridge(&own, "cat", ExecStdio::new(Source::descriptor(silent), Sink::discard()), &Until::forever())
    });
    while runtime.stdio_calls().is_empty() {
        thread::yield_now();
    }
    // The call may not have looked at the container yet; then the command does not run.
    runtime.end("job", 0)?;
    match call.join().unwrap() {
        Ok(result) => assert_eq!(result.outcome, ExitOutcome::Lost),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotRunning),
    }
    Ok(())
}

#[test]
fn pauses_and_hangs_of_a_command_take_no_time() -> Result<()> {
    let runtime = running();
    runtime.set_stdio("job", ["slow"], StdioScript::new().pause(LONG).write("late"))?;
    let result = bridge(&runtime, "slow", ExecStdio::default(), &Until::forever())?;
    assert!(result.elapsed >= LONG);
    let error = bridge(&runtime, "slow", ExecStdio::default(), &Until::after(LONG / 2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    runtime.on_stdio(Scope::all(), ArgvPattern::program("hang"), |_, peer| {
        writeln!(peer, "here")?;
        peer.hang()
    });
    let error = bridge(&runtime, "hang", ExecStdio::default(), &Until::after(LONG)).unwrap_err();
    assert_eq!((error.kind(), streams_of(&error)), (ErrorKind::TimedOut, (0, 5)));
    Ok(())
}

#[test]
fn a_handler_speaks_line_by_line_and_sees_the_request() -> Result<()> {
    let runtime = running();
    runtime.on_stdio(Scope::all(), ArgvPattern::program("agent"), |call, peer| {
        while let Some(line) = peer.read_line()? {
            peer.write_stderr(call.name.as_str().as_bytes())?;
            peer.write_stdout(&line.to_ascii_uppercase())?;
        }
        Ok(ExitOutcome::Signal("TERM".into()))
    });
    let mut answer = Vec::new();
    let stdio = ExecStdio::new(Source::reader(&b"one\ntwo"[..]), Sink::borrowed(&mut answer));
    let result = bridge(&runtime, "agent", stdio, &Until::forever())?;
    assert_eq!((result.outcome, result.stderr.bytes), (ExitOutcome::Signal("TERM".into()), 6));
    assert_eq!(answer, b"ONE\nTWO");
    Ok(())
}

#[test]
fn a_handler_that_fails_by_itself_is_the_backends_failure() {
    let runtime = running();
    runtime.on_stdio(Scope::all(), ArgvPattern::program("odd"), |_, _| Err(io::Error::other("confused")));
    let error = bridge(&runtime, "odd", ExecStdio::default(), &Until::forever()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::BackendFailed, "confused"));
}
