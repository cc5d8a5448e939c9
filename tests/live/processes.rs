//! Processes of this machine by the words of their command lines.

use std::fs;

use rt_process::procfs;
use rustix::process::{Pid, Signal, kill_process};

/// What a process of this machine was called with; empty for one that is gone.
pub(crate) fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// Processes, this one's children alone or all, whose command line has all of these words.
pub(crate) fn find(own: bool, words: &[&str]) -> Vec<u32> {
    let this = std::process::id();
    let entries = procfs::snapshot().expect("/proc");
    entries
        .into_iter()
        .filter(|entry| !entry.is_zombie && (!own || entry.parent == this))
        .filter(|entry| {
            let line = command_line(entry.pid);
            words.iter().all(|word| line.contains(word))
        })
        .map(|entry| entry.pid)
        .collect()
}

/// Sends a signal.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    // One that is gone by now was too quick.
    let _ = kill_process(pid, signal);
}
