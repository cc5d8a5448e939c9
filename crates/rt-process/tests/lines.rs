//! Pulled lines: cut, tagged, in order, bounded, and ended with their process.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]

use std::thread;
use std::time::{Duration, Instant};

use rt_process::{ExitStatus, Line, LineStream, OutputStream, ProcessSpec, Program};
use rt_protocol::{CancelToken, Pull, Until};

fn lines(script: &str, max_line_bytes: usize) -> LineStream {
    let spec = ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script]);
    LineStream::spawn(&spec, max_line_bytes).unwrap()
}

fn soon() -> Until {
    Until::after(Duration::from_secs(20))
}

fn next(stream: &mut LineStream) -> Option<Line> {
    match stream.pull(&soon()).unwrap() {
        Pull::Item(line) => Some(line),
        Pull::End => None,
        Pull::Pending => panic!("idle"),
    }
}

fn all(stream: &mut LineStream) -> Vec<(OutputStream, String, u64)> {
    let mut all = Vec::new();
    while let Some(line) = next(stream) {
        all.push((line.stream, String::from_utf8(line.bytes).unwrap(), line.omitted));
    }
    all
}

#[test]
fn lines_are_tagged_and_come_as_they_were_written() {
    // Each line waits until the one before was pulled, so their order is known.
    let mut stream =
        lines("echo a; sleep 0.05; echo b >&2; sleep 0.05; echo; sleep 0.05; printf 'c\\r\\nd'; exit 4", 100);
    let out = |text: &str| (OutputStream::Stdout, text.to_owned(), 0);
    assert_eq!(
        all(&mut stream),
        [out("a"), (OutputStream::Stderr, "b".to_owned(), 0), out(""), out("c\r"), out("d")]
    );
    assert_eq!(stream.status(), Some(ExitStatus::Code(4)));
    assert_eq!(stream.pull(&soon()).unwrap(), Pull::End);
    stream.close();
    assert_eq!(stream.status(), Some(ExitStatus::Code(4)));
}

#[test]
fn over_long_lines_are_cut_and_counted() {
    let mut stream = lines("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo short; printf 1234567", 5);
    assert_eq!(
        all(&mut stream),
        [
            (OutputStream::Stdout, "xxxxx".to_owned(), 2_999_995),
            (OutputStream::Stdout, "short".to_owned(), 0),
            (OutputStream::Stdout, "12345".to_owned(), 2),
        ]
    );
}

#[test]
fn floods_on_both_streams_lose_nothing_and_keep_their_orders() {
    let mut stream = lines("seq 200000 & seq 200000 >&2; wait", 100);
    let mut expected = [1_u64, 1];
    while let Some(line) = next(&mut stream) {
        let counter = &mut expected[usize::from(line.stream == OutputStream::Stderr)];
        assert_eq!(line.bytes, counter.to_string().as_bytes());
        *counter += 1;
    }
    assert_eq!(expected, [200_001, 200_001]);
}

#[test]
fn a_pull_ends_with_its_limit_and_the_stream_stays_good() {
    let mut stream = lines("sleep 0.3; echo late", 100);
    assert_eq!(stream.pull(&Until::after(Duration::ZERO)).unwrap(), Pull::Pending);
    let token = CancelToken::new();
    let canceller = token.clone();
    let cancel = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        canceller.cancel();
    });
    assert_eq!(stream.pull(&Until::cancelled(&token)).unwrap(), Pull::Pending);
    cancel.join().unwrap();
    assert_eq!(all(&mut stream), [(OutputStream::Stdout, "late".to_owned(), 0)]);
}

#[test]
fn pulls_without_any_patience_get_there_too() {
    let mut stream = lines("echo a; sleep 0.05; echo b", 100);
    let end = Instant::now() + Duration::from_secs(10);
    let mut got = Vec::new();
    loop {
        assert!(Instant::now() < end);
        match stream.pull(&Until::after(Duration::ZERO)).unwrap() {
            Pull::Item(line) => got.push(line.bytes),
            Pull::Pending => thread::sleep(Duration::from_millis(1)),
            Pull::End => break,
        }
    }
    assert_eq!(got, [b"a", b"b"]);
}

#[test]
fn a_caller_who_does_not_pull_holds_the_process_back() {
    let directory = tempfile::tempdir().unwrap();
    let done = directory.path().join("done");
    let mut stream = lines(&format!("seq 1000000; echo > {}", done.display()), 100);
    assert_eq!(next(&mut stream).unwrap().bytes, b"1");
    thread::sleep(Duration::from_millis(300));
    assert!(!done.exists());
    // Everything is there, and the stream has noticed its end during the wait.
    assert_eq!(all(&mut stream).len(), 999_999);
    assert!(done.exists());
}

#[test]
fn a_slow_caller_gets_all_lines_after_the_exit() {
    let mut stream = lines("sleep 1000 & seq 10000; echo $! >&2", 100);
    let mut count = 0;
    let mut sleeper = String::new();
    while let Some(line) = next(&mut stream) {
        count += 1;
        if count == 1 {
            thread::sleep(Duration::from_millis(1500));
        }
        if line.stream == OutputStream::Stderr {
            sleeper = String::from_utf8(line.bytes).unwrap();
        }
    }
    assert_eq!(count, 10_001);
    assert_eq!(stream.status(), Some(ExitStatus::Code(0)));
    // It was not ended by the crate; only this test ends it.
    let kill = ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", "kill \"$0\"", sleeper.as_str()]);
    let mut kill = LineStream::spawn(&kill, 100).unwrap();
    assert_eq!(all(&mut kill), []);
    assert_eq!(kill.status(), Some(ExitStatus::Code(0)));
}

#[test]
fn closing_ends_the_process_also_one_that_is_held_back() {
    let mut stream = lines("trap 'exit 9' TERM; while :; do seq 1000; done", 100);
    assert_eq!(next(&mut stream).unwrap().bytes, b"1");
    let start = Instant::now();
    stream.close();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(stream.status(), Some(ExitStatus::Code(9)));
    stream.close();
    assert_eq!(stream.pull(&soon()).unwrap(), Pull::End);
}

#[cfg(target_os = "linux")]
#[test]
fn dropping_does_what_closing_does() {
    let stream = lines("sleep 1000 & exec sleep 1000", 100);
    let pid = stream.pid();
    drop(stream);
    assert!(
        rt_process::procfs::snapshot().unwrap().iter().all(|entry| entry.group != pid || entry.is_zombie)
    );
    assert_eq!(rt_process::procfs::entry(pid).unwrap(), None);
}
