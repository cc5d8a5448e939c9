//! Processes of the host that sleep for a time of their own, by which a test finds them.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rt_process::procfs;
use rt_protocol::Signal;

/// A number that no other process has on its command line: a time to sleep, in seconds.
pub(crate) fn fresh_tag() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    40_000_000 + (std::process::id() % 30_000) * 1_000 + COUNT.fetch_add(1, Ordering::Relaxed)
}

/// The host's processes that sleep for `tag` seconds, zombies aside.
pub(crate) fn sleepers(tag: u32) -> Vec<u32> {
    let is_one = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.next().is_some_and(|word| word.ends_with(b"sleep"))
            && words.next() == Some(tag.to_string().as_bytes())
    };
    let numbers = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_one).collect()
}

/// Kills them.
pub(crate) fn kill_sleepers(tag: u32) {
    for pid in sleepers(tag) {
        if let Ok(Some(entry)) = procfs::entry(pid) {
            // One that has ended in the meantime needs no signal.
            let _ = procfs::signal(&entry, Signal::KILL);
        }
    }
}

/// Waits until so many sleep.
pub(crate) fn wait_for_sleepers(tag: u32, count: usize) {
    let begun = Instant::now();
    while sleepers(tag).len() < count {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?} of {count} sleep", sleepers(tag));
        std::thread::sleep(Duration::from_millis(20));
    }
}
