//! Ending a process group within a bounded time: TERM, a grace period, KILL, and the last bytes. Who is to be ended, and
//! when, is the caller's.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child_process::ChildProcess;
use crate::io::drain::{DRAIN_IDLE, DRAIN_TOTAL};
use crate::io::poll_loop::PollLoop;

/// How long a killed group may take to vanish.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// The first and the longest pause between two looks at who is left of a group whose leader has exited: no descriptor
/// tells when somebody else's child ends.
const POLL_PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Ends the group of a process that still runs, takes its last bytes, and reaps the leader. False when the leader is
/// still there.
///
/// Streams of the caller that fail meanwhile are not reported: the process is ended anyway.
pub(crate) fn end(poll_loop: &mut PollLoop<'_>, grace: Duration) -> bool {
    if !poll_loop.poll_exit() {
        signal(poll_loop, Signal::TERM);
        if !wait_for_group(poll_loop, grace) {
            signal(poll_loop, Signal::KILL);
            wait_for_group(poll_loop, KILL_WAIT);
        }
    }
    if !poll_loop.has_ended() {
        return false;
    }
    drain_outputs(poll_loop);
    poll_loop.failures.clear();
    if let Some(child) = &mut poll_loop.child {
        child.reap();
    }
    true
}

fn signal(poll_loop: &mut PollLoop<'_>, signal: Signal) {
    if let Some(child) = &mut poll_loop.child {
        child.signal_group(signal);
    }
}

/// Moves bytes until nobody of the group is alive; false when `time` is over before.
fn wait_for_group(poll_loop: &mut PollLoop<'_>, time: Duration) -> bool {
    // A time beyond what the clock can count is no limit.
    let deadline = Instant::now().checked_add(time);
    let mut pause = POLL_PAUSES.0;
    let mut next_check = Instant::now();
    loop {
        let now = Instant::now();
        if poll_loop.has_ended() && now >= next_check {
            if !poll_loop.child.as_ref().is_some_and(ChildProcess::group_is_alive) {
                return true;
            }
            next_check = Instant::now() + pause;
            pause = (pause * 2).min(POLL_PAUSES.1);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        if left == Some(Duration::ZERO) {
            return false;
        }
        let until_check = poll_loop.has_ended().then(|| next_check.saturating_duration_since(now));
        poll_loop.poll_once(left.into_iter().chain(until_check).min());
    }
}

/// The pipes may still hold what the group wrote last. A sink that takes nothing is not waited for.
fn drain_outputs(poll_loop: &mut PollLoop<'_>) {
    let start = Instant::now();
    let mut last = start;
    while !poll_loop.is_complete() && start.elapsed() < DRAIN_TOTAL {
        let Some(left) = DRAIN_IDLE.checked_sub(last.elapsed()).filter(|left| !left.is_zero()) else {
            return;
        };
        if poll_loop.poll_once(Some(left)) {
            last = Instant::now();
        }
    }
}
