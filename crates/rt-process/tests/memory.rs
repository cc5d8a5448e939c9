//! Memory stays bounded however much a process writes. One test function, because the whole test
//! process is measured.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]
#![cfg(target_os = "linux")]

use std::time::Duration;

use rt_process::{LineStream, ProcessError, ProcessSpec, Program, capture};
use rt_protocol::{OutputLimit, Pull, Source, Until};

/// The peak resident memory of this process, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_flood_is_taken_in_flat_memory() {
    let before = peak();
    let limit = OutputLimit::bytes(64 * 1024);
    let yes = ProcessSpec::new(&Program::find("yes").unwrap());
    match capture(&yes, Source::empty(), limit, limit, &Until::after(Duration::from_millis(500))) {
        Err(ProcessError::Interrupted { finished, .. }) => {
            assert!(finished.stdout.bytes > 10_000_000, "{}", finished.stdout.bytes);
            assert_eq!(finished.stdout_capture.total(), finished.stdout.bytes);
            assert_eq!(finished.stdout_capture.as_bytes().len(), 64 * 1024);
        }
        other => panic!("{other:?}"),
    }

    // A line that never ends, and a caller that does not pull.
    let zeros = ProcessSpec::new(&Program::find("cat").unwrap()).arg("/dev/zero");
    let mut lines = LineStream::spawn(&zeros, 64 * 1024).unwrap();
    assert_eq!(lines.pull(&Until::after(Duration::from_millis(300))).unwrap(), Pull::Pending);
    lines.close();
    let mut lines = LineStream::spawn(&yes, 100).unwrap();
    assert!(matches!(lines.pull(&Until::forever()).unwrap(), Pull::Item(_)));
    std::thread::sleep(Duration::from_millis(200));
    lines.close();

    let grown = peak() - before;
    assert!(grown < 4 * 1024, "{grown} KiB");
}
