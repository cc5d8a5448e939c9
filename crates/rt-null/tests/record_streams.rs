//! Facts about bridged commands and archives under record and in replay.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::any::Any;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rt_null::record::{Recorder, Replay};
use rt_null::{ArgvPattern, LogScript, NullRuntime, Scope, StdioScript};
use rt_protocol::{
    CancelToken, Capabilities, Container, ContainerInfo, ContainerKey, ContainerName, ContainerPath,
    ContainerRuntime, ContainerState, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome,
    Fate, Partial, Result, RuntimeId, Sink, Source, StdioResult, StreamEnd, Until,
};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn replay(&self) -> Replay {
        Replay::read(&self.bytes()[..]).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn recorded(runtime: &NullRuntime) -> (Recorder, Paper) {
    let paper = Paper::default();
    (Recorder::new(Arc::new(runtime.clone()), paper.clone()), paper)
}

fn running() -> NullRuntime {
    let runtime = NullRuntime::new();
    runtime.set_state("job", ContainerState::Running).unwrap();
    runtime.on_stdio(Scope::all(), ArgvPattern::program("cat"), |_, peer| {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match peer.read(&mut chunk)? {
                0 => return Ok(ExitOutcome::Code(0)),
                count => peer.write_stdout(&chunk[..count])?,
            }
        }
    });
    runtime
}

fn bridge(
    runtime: &dyn ContainerRuntime,
    word: &str,
    stdio: ExecStdio<'_>,
    until: &Until,
) -> Result<StdioResult> {
    runtime.exec_stdio(&ContainerName::new("job")?, &ExecRequest::new([word])?, stdio, until)
}

fn all_bytes() -> Vec<u8> {
    (0..=255).cycle().take(300_000).collect()
}

struct Channel(mpsc::Sender<Vec<u8>>);

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same bytes through every kind of source and sink.
fn every_kind(runtime: &dyn ContainerRuntime) -> Vec<StdioResult> {
    let data = all_bytes();
    let forever = Until::forever();
    let mut results = Vec::new();

    let mut echo = Vec::new();
    let stdio = ExecStdio::new(Source::bytes(data.clone()), Sink::borrowed(&mut echo));
    results.push(bridge(runtime, "cat", stdio, &forever).unwrap());
    assert!(echo == data);

    let (sender, receiver) = mpsc::channel();
    let source = Source::reader(io::Cursor::new(data.clone()));
    results.push(
        bridge(runtime, "cat", ExecStdio::new(source, Sink::writer(Channel(sender))), &forever).unwrap(),
    );
    // The sink is gone by now, so the channel ends.
    assert!(receiver.iter().flatten().collect::<Vec<u8>>() == data);

    let sockets = || {
        let (near, far) = UnixStream::pair().unwrap();
        (Box::new(near) as Box<dyn Write + Send>, std::os::fd::OwnedFd::from(far))
    };
    let pipes = || {
        let (near, far) = io::pipe().unwrap();
        (Box::new(far) as Box<dyn Write + Send>, std::os::fd::OwnedFd::from(near))
    };
    for (mut near, far) in [sockets(), pipes()] {
        let (mut seen, out) = io::pipe().unwrap();
        let copy = data.clone();
        let writer = thread::spawn(move || near.write_all(&copy).unwrap());
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            seen.read_to_end(&mut all).unwrap();
            all
        });
        let stdio = ExecStdio::new(Source::descriptor(far), Sink::descriptor(out));
        results.push(bridge(runtime, "cat", stdio, &forever).unwrap());
        writer.join().unwrap();
        assert!(reader.join().unwrap() == data);
    }

    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("in"), &data).unwrap();
    let source = File::open(home.path().join("in")).unwrap();
    let sink = File::create(home.path().join("out")).unwrap();
    let stdio =
        ExecStdio::new(Source::borrowed_descriptor(source.as_fd()), Sink::borrowed_descriptor(sink.as_fd()));
    results.push(bridge(runtime, "cat", stdio, &forever).unwrap());
    assert!(fs::read(home.path().join("out")).unwrap() == data);
    results
}

#[test]
fn bytes_go_through_every_kind_of_source_and_sink() {
    let runtime = running();
    let plain = every_kind(&runtime);
    let (recorder, paper) = recorded(&runtime);
    assert_eq!(every_kind(&recorder), plain);
    recorder.finish().unwrap();
    let replay = paper.replay();
    assert_eq!(every_kind(&replay), plain);
    replay.finish().unwrap();
}

#[test]
fn an_answer_comes_before_the_next_question_under_record_and_in_replay() {
    let (recorder, paper) = recorded(&running());
    let talk = |runtime: Arc<dyn ContainerRuntime>| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let input = theirs.try_clone().unwrap();
        let call = thread::spawn(move || {
            let stdio = ExecStdio::new(Source::descriptor(input), Sink::descriptor(theirs));
            bridge(&*runtime, "cat", stdio, &Until::forever())
        });
        for question in ["hello", "is anybody there", "?"] {
            ours.write_all(question.as_bytes()).unwrap();
            let mut answer = vec![0; question.len()];
            ours.read_exact(&mut answer).unwrap();
            assert_eq!(answer, question.as_bytes());
        }
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        call.join().unwrap().unwrap()
    };
    let before = talk(Arc::new(recorder));
    assert_eq!(talk(Arc::new(paper.replay())), before);
    let text = String::from_utf8(paper.bytes()).unwrap();
    assert!(
        text.contains(
            r#"[{"in":"hello"},{"out":"hello"},{"in":"is anybody there"},{"out":"is anybody there"}"#
        ),
        "{text}"
    );
}

#[test]
fn what_a_command_does_not_read_stays_in_the_descriptor() {
    let runtime = running();
    runtime.set_stdio("job", ["head"], StdioScript::new().read("one\n").write("1").read("two\n")).unwrap();
    let (recorder, paper) = recorded(&runtime);
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("lines"), "zero\none\ntwo\nthree\n").unwrap();
    let replay = paper.clone();
    let check = |runtime: &dyn ContainerRuntime| {
        let (near, mut socket) = UnixStream::pair().unwrap();
        let (mut pipe, far) = io::pipe().unwrap();
        (&near).write_all(b"one\ntwo\nthree\n").unwrap();
        (&far).write_all(b"one\ntwo\nthree\n").unwrap();
        let mut file = File::open(home.path().join("lines")).unwrap();
        file.seek(SeekFrom::Start(5)).unwrap();
        let source = |fd| ExecStdio::new(Source::borrowed_descriptor(fd), Sink::discard());
        for fd in [socket.as_fd(), pipe.as_fd(), file.as_fd()] {
            let result = bridge(runtime, "head", source(fd), &Until::forever()).unwrap();
            assert_eq!((result.stdin.bytes, result.stdin.end), (8, StreamEnd::ReaderGone));
        }
        for rest in [&mut socket as &mut dyn Read, &mut pipe, &mut file] {
            let mut left = [0; 6];
            rest.read_exact(&mut left).unwrap();
            assert_eq!(&left, b"three\n");
        }
    };
    check(&recorder);
    recorder.finish().unwrap();
    check(&replay.replay());
}

fn streams_of(error: &Error) -> (u64, u64) {
    match error.partial() {
        Some(Partial::Streams { stdin, stdout, .. }) => (stdin.bytes, stdout.bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deadline_ends_a_call_whose_streams_stand_still() {
    let (recorder, paper) = recorded(&running());
    let soon = || Until::after(Duration::from_millis(20));
    let (_kept_open, silent) = UnixStream::pair().unwrap();
    let stdio = ExecStdio::new(Source::borrowed_descriptor(silent.as_fd()), Sink::discard());
    let error = bridge(&recorder, "cat", stdio, &soon()).unwrap_err();
    assert_eq!((error.kind(), streams_of(&error)), (ErrorKind::TimedOut, (0, 0)));

    // A full pipe: what it took is counted to the byte, as without a recorder.
    let counts = [&recorder as &dyn ContainerRuntime, &running()].map(|runtime| {
        let (_unread, full) = io::pipe().unwrap();
        let stdio = ExecStdio::new(Source::bytes(vec![7; 8 << 20]), Sink::descriptor(full));
        let error = bridge(runtime, "cat", stdio, &soon()).unwrap_err();
        assert_eq!(
            (error.kind(), error.kill_report().unwrap().fate.clone()),
            (ErrorKind::TimedOut, Fate::Gone)
        );
        streams_of(&error)
    });
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0].1 > 0);

    let replay = paper.replay();
    let stdio = ExecStdio::new(Source::borrowed_descriptor(silent.as_fd()), Sink::discard());
    // What stood still then is not waited for now.
    let error = bridge(&replay, "cat", stdio, &Until::forever()).unwrap_err();
    assert_eq!((error.kind(), streams_of(&error)), (ErrorKind::TimedOut, (0, 0)));
}

#[test]
fn a_cancel_reaches_the_inner_call_and_is_the_callers_own() {
    let (recorder, _paper) = recorded(&running());
    let (_kept_open, silent) = UnixStream::pair().unwrap();
    let token = CancelToken::new();
    let until = Until::cancelled(&token);
    let call = thread::spawn(move || {
        bridge(&recorder, "cat", ExecStdio::new(Source::descriptor(silent), Sink::discard()), &until)
    });
    thread::sleep(Duration::from_millis(10));
    token.cancel();
    assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("disk on fire"))
    }
}

impl Write for Broken {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("disk full"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Failing streams of every kind; what is answered to each.
fn failing(runtime: &dyn ContainerRuntime) -> Vec<(ErrorKind, String, Fate)> {
    let forever = Until::forever();
    let directory = File::open("/").unwrap();
    let mut errors: Vec<Error> = [Source::reader(Broken), Source::descriptor(directory)]
        .into_iter()
        .map(|source| bridge(runtime, "cat", ExecStdio::new(source, Sink::discard()), &forever).unwrap_err())
        .collect();
    let mut broken = Broken;
    let (closed, far) = UnixStream::pair().unwrap();
    drop(far);
    for sink in [Sink::writer(Broken), Sink::borrowed(&mut broken), Sink::descriptor(closed)] {
        errors
            .push(bridge(runtime, "cat", ExecStdio::new(Source::bytes("abc"), sink), &forever).unwrap_err());
    }
    let seen = errors.iter().map(|error| {
        let cause = std::error::Error::source(error).unwrap().to_string();
        (error.kind(), format!("{error}: {cause}"), error.kill_report().unwrap().fate.clone())
    });
    seen.collect()
}

#[test]
fn a_failing_source_or_sink_is_the_same_error_under_record() {
    let runtime = running();
    let (recorder, paper) = recorded(&runtime);
    let plain = failing(&runtime);
    assert_eq!(failing(&recorder), plain);
    assert_eq!(failing(&paper.replay()), plain);
}

#[test]
fn other_stdin_than_recorded_shows_both_sides() {
    let runtime = running();
    runtime
        .set_stdio("job", ["serve"], StdioScript::new().read("ping\n").write("pong\n").read_end())
        .unwrap();
    let (recorder, paper) = recorded(&runtime);
    bridge(&recorder, "serve", ExecStdio::new(Source::bytes("ping\n"), Sink::discard()), &Until::forever())
        .unwrap();
    let ask = |replay: &Replay, input: &str| {
        bridge(replay, "serve", ExecStdio::new(Source::bytes(input), Sink::discard()), &Until::forever())
    };
    ask(&paper.replay(), "ping\n").unwrap();
    for (input, message) in [
        ("pi", r#"expected "ping\n", got "pi" and the end"#),
        ("", r#"expected "ping\n", got the end"#),
        ("ping\nmore", r#"expected the end, got "m""#),
    ] {
        let replay = paper.replay();
        let error = ask(&replay, input).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed);
        assert!(error.message().ends_with(message), "{error}");
        assert_eq!(replay.mismatches().len(), 1);
    }
    // Another set of streams is another call.
    let error = bridge(&paper.replay(), "serve", ExecStdio::default(), &Until::forever()).unwrap_err();
    assert!(
        error.message().contains(r#"expected next: exec-stdio {"argv":["serve"],"bridged":["stdin"]}"#),
        "{error}"
    );
}

#[test]
fn a_replay_waits_for_stdin_no_longer_than_it_may() {
    let (recorder, paper) = recorded(&running());
    bridge(&recorder, "cat", ExecStdio::new(Source::bytes("abc"), Sink::discard()), &Until::forever())
        .unwrap();
    let (_kept_open, silent) = UnixStream::pair().unwrap();
    let stdio = ExecStdio::new(Source::descriptor(silent), Sink::discard());
    let error = bridge(&paper.replay(), "cat", stdio, &Until::after(Duration::from_millis(20))).unwrap_err();
    assert_eq!((error.kind(), streams_of(&error)), (ErrorKind::TimedOut, (0, 0)));
}

#[test]
fn a_sink_that_fails_in_the_replay_is_an_error_there() {
    let (recorder, paper) = recorded(&running());
    bridge(
        &recorder,
        "cat",
        ExecStdio::new(Source::bytes("abc"), Sink::writer(Vec::new())),
        &Until::forever(),
    )
    .unwrap();
    let stdio = ExecStdio::new(Source::bytes("abc"), Sink::writer(Broken));
    let error = bridge(&paper.replay(), "cat", stdio, &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkFailed);
}

#[test]
fn a_secret_in_the_streams_is_not_written_however_it_is_cut() {
    let runtime = running();
    runtime.on_stdio(Scope::all(), ArgvPattern::program("login"), |_, peer| {
        let mut byte = [0];
        peer.write_stdout(b"password: ")?;
        while peer.read(&mut byte)? == 1 {
            // An echo, byte by byte.
            peer.write_stderr(&byte)?;
        }
        Ok(ExitOutcome::Code(0))
    });
    let login = |runtime: &dyn ContainerRuntime, secret: &str| -> Result<Vec<u8>> {
        let request = ExecRequest::builder(["login"]).secret_env("PASSWORD", secret).build()?;
        let mut echo = Vec::new();
        let source = Source::bytes(format!("{secret}\n"));
        let stdio = ExecStdio::new(source, Sink::discard()).stderr(Sink::borrowed(&mut echo));
        runtime.exec_stdio(&ContainerName::new("job")?, &request, stdio, &Until::forever())?;
        Ok(echo)
    };
    let (recorder, paper) = recorded(&runtime);
    assert_eq!(login(&recorder, "hunter2").unwrap(), b"hunter2\n");
    let text = String::from_utf8(paper.bytes()).unwrap();
    assert!(text.contains(r#"{"in":{"parts":[{"secret":"PASSWORD"},"\n"]}}"#), "{text}");
    for piece in ["hunter2", r#""h""#, r#""2""#] {
        assert!(!text.contains(piece), "{text}");
    }
    assert_eq!(login(&paper.replay(), "hunter2").unwrap(), b"hunter2\n");
    assert_eq!(login(&paper.replay(), "another").unwrap(), b"another\n");

    // Something else in its place is told without showing it.
    let request = ExecRequest::builder(["login"]).secret_env("PASSWORD", "hunter2").build().unwrap();
    let stdio = ExecStdio::new(Source::bytes("hunter1\n"), Sink::discard()).stderr(Sink::writer(Vec::new()));
    let name = ContainerName::new("job").unwrap();
    let error = paper.replay().exec_stdio(&name, &request, stdio, &Until::forever()).unwrap_err();
    assert!(error.message().contains("expected \"<secret PASSWORD>\\n\""), "{error}");
}

#[test]
fn threads_that_differ_in_their_stdin_alone_get_each_its_own() {
    let (recorder, paper) = recorded(&running());
    let talk = |runtime: &dyn ContainerRuntime, text: &str| {
        let mut echo = Vec::new();
        let stdio = ExecStdio::new(Source::bytes(text), Sink::borrowed(&mut echo));
        bridge(runtime, "cat", stdio, &Until::forever()).unwrap();
        assert_eq!(echo, text.as_bytes());
    };
    for text in ["one", "two", "one two", ""] {
        talk(&recorder, text);
    }
    let replay = paper.replay();
    for text in ["one two", "", "two", "one"] {
        talk(&replay, text);
    }
    replay.finish().unwrap();
}

#[test]
fn a_panic_of_the_callers_code_goes_on_under_record_and_in_replay() {
    struct Panics;
    impl Write for Panics {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            panic!("the sink's own")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let runtime = running();
    runtime.set_logs("job", LogScript::new().line("one")).unwrap();
    let (recorder, paper) = recorded(&runtime);
    let panics = |runtime: &dyn ContainerRuntime| {
        let said = |call: &dyn Fn()| {
            let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
            (*panic.downcast::<&str>().unwrap()).to_owned()
        };
        let sink = said(&|| {
            let mut sink = Panics;
            let stdio = ExecStdio::new(Source::bytes("abc"), Sink::borrowed(&mut sink));
            drop(bridge(runtime, "cat", stdio, &Until::forever()));
        });
        let ready = said(&|| {
            let job = runtime.container(&ContainerName::new("job").unwrap());
            let mut ready = |_: &str| panic!("ready's own");
            drop(job.stream_initial_logs(&mut ready, &mut io::sink(), &Until::forever()));
        });
        (sink, ready)
    };
    let plain = panics(&runtime);
    assert_eq!(panics(&recorder), plain);
    let replay = paper.replay();
    assert_eq!(panics(&replay), plain);
    replay.finish().unwrap();
}

/// A runtime with archives, which null has not.
#[derive(Debug)]
struct Archives(RuntimeId);

#[derive(Debug)]
struct Archive(ContainerKey);

impl ContainerRuntime for Archives {
    fn id(&self) -> &RuntimeId {
        &self.0
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        Arc::new(Archive(ContainerKey::new(self.0.clone(), name.clone())))
    }
}

impl Container for Archive {
    fn key(&self) -> &ContainerKey {
        &self.0
    }

    fn exec(&self, _request: &ExecRequest, _until: &Until) -> Result<ExecResult> {
        Err(Error::new(ErrorKind::NotRunning, "exec in", "never"))
    }

    fn inspect(&self) -> Result<Option<ContainerInfo>> {
        Ok(None)
    }

    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), _dest: &ContainerPath, _until: &Until) -> Result<()> {
        let count = io::copy(tar, &mut io::sink()).unwrap();
        if count > 10 { Err(Error::new(ErrorKind::NoSuchPath, "copy into", "too much")) } else { Ok(()) }
    }

    fn copy_out_tar(&self, _src: &ContainerPath, tar: &mut (dyn Write + Send), _until: &Until) -> Result<()> {
        for chunk in [&b"first"[..], &[0xff, 0, 0xfe]] {
            tar.write_all(chunk).unwrap();
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn archives_come_back() {
    let paper = Paper::default();
    let recorder = Recorder::new(Arc::new(Archives(RuntimeId::new("archives"))), paper.clone());
    let path = ContainerPath::new("/a").unwrap();
    let copy = |runtime: &dyn ContainerRuntime| {
        let job = runtime.container(&ContainerName::new("job").unwrap());
        let until = Until::forever();
        job.copy_in_tar(&mut &b"little"[..], &path, &until).unwrap();
        let mut much = io::Cursor::new(vec![0; 100]);
        let error = job.copy_in_tar(&mut much, &path, &until).unwrap_err();
        let mut out = Vec::new();
        job.copy_out_tar(&path, &mut out, &until).unwrap();
        (error.to_string(), much.position(), out)
    };
    let before = copy(&recorder);
    let replay = paper.replay();
    assert_eq!(copy(&replay), before);
    assert_eq!(before.2, b"first\xff\0\xfe");
    replay.finish().unwrap();
    // The concrete handle is still to be had while it records.
    let job = recorder.container(&ContainerName::new("job").unwrap());
    assert!(job.as_any().is::<Archive>());
    assert!(!Path::new("/a/first").exists());
}
