//! Bridged commands recorded and replayed whose streams fail, stall or panic.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "../../rt-null/tests/fixture/broken.rs"]
mod broken;
#[path = "../../rt-null/tests/fixture/cat.rs"]
mod cat;
#[path = "fixture/recording.rs"]
mod recording;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use broken::Broken;
use cat::{bridge, running};
use recording::recorded;
use rt_null::LogScript;
use rt_protocol::{
    CancelToken, ContainerName, ContainerRuntime, Error, ErrorKind, ExecStdio, KillOutcome, PartialOutput,
    Sink, Source, Until,
};

fn streams_of(error: &Error) -> (u64, u64) {
    match error.partial() {
        Some(PartialOutput::Streams { stdin, stdout, .. }) => (stdin.bytes, stdout.bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deadline_ends_a_call_whose_streams_stand_still() {
    let (recorder, paper) = recorded(&running());
    // Long enough that the call has begun on a loaded machine.
    let soon = || Until::after(Duration::from_millis(400));
    let (_kept_open, silent) = UnixStream::pair().unwrap();
    let stdio = ExecStdio::new(Source::borrowed_descriptor(silent.as_fd()), Sink::discard());
    let error = bridge(&recorder, "cat", stdio, &soon()).unwrap_err();
    assert_eq!((error.kind(), streams_of(&error)), (ErrorKind::TimedOut, (0, 0)));

    // A full pipe: the bytes it accepted are counted exactly, as without a recorder.
    let counts = [&recorder as &dyn ContainerRuntime, &running()].map(|runtime| {
        let (_unread, full) = io::pipe().unwrap();
        let stdio = ExecStdio::new(Source::bytes(vec![7; 8 << 20]), Sink::descriptor(full));
        let error = bridge(runtime, "cat", stdio, &soon()).unwrap_err();
        assert_eq!(
            (error.kind(), error.kill_report().unwrap().outcome.clone()),
            (ErrorKind::TimedOut, KillOutcome::Gone)
        );
        streams_of(&error)
    });
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0].1 > 0);

    let replay = paper.replay();
    let stdio = ExecStdio::new(Source::borrowed_descriptor(silent.as_fd()), Sink::discard());
    // A stall of the recording is not waited for in the replay.
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

/// Failing streams of every kind, and the answer to each.
fn failing(runtime: &dyn ContainerRuntime) -> Vec<(ErrorKind, String, KillOutcome)> {
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
        (error.kind(), format!("{error}: {cause}"), error.kill_report().unwrap().outcome.clone())
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
fn a_replay_waits_for_stdin_no_longer_than_it_may() {
    let (recorder, paper) = recorded(&running());
    let _ =
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
    let _ = bridge(
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
fn a_panic_of_the_caller_passes_record_and_replay() {
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
