//! Sends signals to processes that were seen before, identified by pid and start time.

use std::time::{Duration, Instant};

use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::Signal;

/// Stops a process and its descendants, and waits a bounded time until all are stopped. A thread
/// that has just started a child with vfork stops only once the child has become another program.
pub(crate) fn stop_tree(root: &ProcessEntry) -> std::io::Result<Vec<ProcessEntry>> {
    const LIMIT: Duration = Duration::from_millis(100);
    let begun = Instant::now();
    let mut tree = vec![root.clone()];
    let mut stopped = 0;
    loop {
        for entry in &tree[stopped..] {
            send(entry, &[Signal::STOP]);
        }
        stopped = tree.len();
        let entries = procfs::snapshot()?;
        while let Some(new) = entries.iter().find(|entry| {
            !entry.is_zombie
                && tree.iter().any(|parent| parent.pid == entry.parent)
                && !tree.iter().any(|known| is_same(known, entry))
        }) {
            tree.push(new.clone());
        }
        let stand_still = || {
            tree.iter().all(|known| {
                now(known).is_none_or(|entry| !matches!(procfs::is_stopped(entry.pid), Ok(false)))
            })
        };
        if tree.len() == stopped && (stand_still() || begun.elapsed() > LIMIT) {
            return Ok(tree);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the same process as it is now, if it is still alive.
pub(crate) fn now(known: &ProcessEntry) -> Option<ProcessEntry> {
    procfs::entry(known.pid).ok().flatten().filter(|entry| is_same(known, entry) && !entry.is_zombie)
}

pub(crate) fn is_same(one: &ProcessEntry, other: &ProcessEntry) -> bool {
    one.pid == other.pid && one.start_time == other.start_time
}

/// Sends signals. A process that is gone, or that may not be signalled, is found by the next look.
pub(crate) fn send(entry: &ProcessEntry, signals: &[Signal]) {
    for signal in signals {
        if let Err(error) = procfs::signal(entry, *signal) {
            tracing::debug!(pid = entry.pid, %error, "a process of the command could not be signalled");
        }
    }
}
