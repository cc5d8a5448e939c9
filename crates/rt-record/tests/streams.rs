//! Bytes of bridged commands recorded and replayed. Failing streams are in `stream_faults`.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "../../rt-null/tests/fixture/cat.rs"]
mod cat;
#[path = "fixture/recording.rs"]
mod recording;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;

use cat::{bridge, running};
use recording::recorded;
use rt_null::StdioScript;
use rt_protocol::{
    Capability, ContainerExt, ContainerName, ContainerRuntime, ErrorKind, ExecRequest, ExecStdio, Sink,
    Source, SpawnStdio, StdioResult, StreamEnd, Until,
};
use rt_record::Replay;

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
fn answers_come_before_the_next_question() {
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

#[test]
fn other_stdin_than_recorded_shows_both_sides() {
    let runtime = running();
    runtime
        .set_stdio("job", ["serve"], StdioScript::new().read("ping\n").write("pong\n").read_end())
        .unwrap();
    let (recorder, paper) = recorded(&runtime);
    let _ = bridge(
        &recorder,
        "serve",
        ExecStdio::new(Source::bytes("ping\n"), Sink::discard()),
        &Until::forever(),
    )
    .unwrap();
    let ask = |replay: &Replay, input: &str| {
        bridge(replay, "serve", ExecStdio::new(Source::bytes(input), Sink::discard()), &Until::forever())
    };
    let _ = ask(&paper.replay(), "ping\n").unwrap();
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
fn threads_that_differ_in_their_stdin_alone_get_each_its_own() {
    let (recorder, paper) = recorded(&running());
    let talk = |runtime: &dyn ContainerRuntime, text: &str| {
        let mut echo = Vec::new();
        let stdio = ExecStdio::new(Source::bytes(text), Sink::borrowed(&mut echo));
        let _ = bridge(runtime, "cat", stdio, &Until::forever()).unwrap();
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
fn a_command_that_is_spawned_is_recorded_as_a_bridged_one() {
    let (recorder, paper) = recorded(&running());
    let talk = |runtime: &dyn ContainerRuntime| {
        assert!(!runtime.capabilities().contains(Capability::SendSignal));
        let container = runtime.container(&ContainerName::new("job").unwrap());
        let stdio = SpawnStdio::new().piped_stdin();
        let request = ExecRequest::new(["cat"]).unwrap();
        let mut cat = container.spawn_command(&request, stdio, Until::forever()).unwrap();
        cat.stdin.take().unwrap().write_all(b"spoken").unwrap();
        let mut echo = String::new();
        cat.stdout.take().unwrap().read_to_string(&mut echo).unwrap();
        assert_eq!(echo, "spoken");
        assert!(cat.wait(Until::forever()).unwrap().success());
    };
    talk(&recorder);
    let replay = paper.replay();
    talk(&replay);
    replay.finish().unwrap();
}
