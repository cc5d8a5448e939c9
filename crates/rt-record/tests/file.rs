//! The file of a recording: its owner, what is rejected, and what is left of an incomplete one.

#[path = "fixture/recording.rs"]
mod recording;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use recording::recorded;
use rt_null::NullRuntime;
use rt_protocol::{Capabilities, Capability, ContainerFilter, ContainerRuntime, ErrorKind, Until};
use rt_record::{FORMAT_VERSION, Recorder, Replay};

#[test]
fn a_file_is_for_its_owner_and_an_old_one_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("r.jsonl");
    fs::write(&file, "old\n".repeat(1000)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let recorder = Recorder::create(Arc::new(NullRuntime::new()), &file).unwrap();
    recorder.list(&ContainerFilter::all(), &Until::forever()).unwrap();
    recorder.finish().unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        Replay::open(&file).unwrap().list(&ContainerFilter::all(), &Until::forever()).unwrap().is_empty()
    );
    let error = Recorder::create(Arc::new(NullRuntime::new()), home.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::System);
    let error = Replay::open(home.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("none") && error.kind() == ErrorKind::System, "{error}");
}

#[test]
fn a_recording_that_cannot_be_written_breaks_no_call() {
    struct Full(usize, bool);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(1) {
                Some(left) => self.0 = left,
                None if self.1 => panic!("full"),
                None => return Err(io::Error::other("disk full")),
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (lines, panics) in [(0, false), (2, false), (2, true)] {
        let recorder = Recorder::new(Arc::new(NullRuntime::new()), Full(lines, panics));
        for _ in 0..4 {
            recorder.list(&ContainerFilter::all(), &Until::forever()).unwrap();
        }
        for _ in 0..2 {
            let error = recorder.finish().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::System);
            assert!(std::error::Error::source(&error).is_some());
        }
    }
}

#[test]
fn calls_after_the_end_are_passed_on_and_not_written() {
    let (recorder, paper) = recorded(&NullRuntime::new());
    recorder.list(&ContainerFilter::all(), &Until::forever()).unwrap();
    assert_eq!(recorder.finish().unwrap(), 1);
    recorder.list(&ContainerFilter::all(), &Until::forever()).unwrap();
    assert_eq!(recorder.finish().unwrap(), 1);
    assert_eq!(paper.text().lines().count(), 2);
}

#[test]
fn what_is_no_recording_is_refused_with_its_line() {
    let refused = |text: &str| {
        let error = Replay::read(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        error.to_string()
    };
    let header =
        r#"{"format":"rt-recording","version":2,"runtime":"x","capabilities":["logs","sunspots"],"new":1}"#;
    let call = r#"{"seq":1,"op":"list","args":{},"answer":{"ok":[],"new":1},"new":[]}"#;
    assert!(refused("").contains("empty"));
    assert!(refused("{}\n").contains("line 1: this is no recording"));
    assert!(refused("not json\n").contains("line 1, column"));
    for (version, hint) in [(1, "record again"), (3, "newer rt-record")] {
        let text = refused(&header.replace(":2,", &format!(":{version},")));
        let readable = format!("version {version} of the format; version {FORMAT_VERSION}");
        assert!(text.contains(&readable) && text.contains(hint), "{text}");
    }
    assert!(refused(&format!("{header}\n{call}\n{{\"seq\":\n{call}\n")).contains("line 3, column"));
    for broken in [
        r#"{"op":"list"}"#,
        r#"{"seq":1,"op":"list"}"#,
        r#"{"seq":2,"op":"x","container":3,"answer":{"ok":1}}"#,
    ] {
        assert!(refused(&format!("{header}\n\n{broken}\n")).contains("line 3: "), "{broken}");
    }

    // Unknown fields and capabilities are skipped, and the last newline may be missing.
    let replay = Replay::read(format!("{header}\n{call}").as_bytes()).unwrap();
    assert_eq!(replay.capabilities(), Capabilities::none().with(Capability::Logs));
    assert!(replay.list(&ContainerFilter::all(), &Until::forever()).unwrap().is_empty());
    assert_eq!(replay.truncated_line(), None);
    // An answer that cannot be read is an error of its call.
    let odd = call.replace("[]", "7");
    let error = Replay::read(format!("{header}\n{odd}\n").as_bytes())
        .unwrap()
        .list(&ContainerFilter::all(), &Until::forever())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn a_last_line_that_broke_off_is_left_out_and_told() {
    let (recorder, paper) = recorded(&NullRuntime::new());
    for _ in 0..2 {
        recorder.list(&ContainerFilter::all(), &Until::forever()).unwrap();
    }
    let bytes = paper.bytes();
    let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    for cut in last + 2..bytes.len() - 1 {
        let replay = Replay::read(&bytes[..cut]).unwrap();
        assert_eq!(replay.truncated_line(), Some(3));
        replay.list(&ContainerFilter::all(), &Until::forever()).unwrap();
        let error = replay.list(&ContainerFilter::all(), &Until::forever()).unwrap_err();
        assert!(error.message().ends_with("the recording breaks off in line 3"), "{error}");
    }
}
