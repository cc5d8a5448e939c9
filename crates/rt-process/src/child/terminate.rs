//! Ending a process group within a bounded time: TERM, a grace period, KILL, and the last bytes. Who is to be ended, and
//! when, is the caller's.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Leader;
use crate::io::drain::{DRAIN_IDLE, DRAIN_TOTAL};
use crate::io::poll_loop::Pump;

/// How long a killed group may take to vanish.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// The first and the longest pause between two looks at who is left of a group whose leader has exited: no descriptor
/// tells when somebody else's child ends.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Ends the group of a process that still runs, takes its last bytes, and reaps the leader. False when the leader is
/// still there.
///
/// Streams of the caller that fail meanwhile are not reported: the process is ended anyway.
pub(crate) fn end(pump: &mut Pump<'_>, grace: Duration) -> bool {
    if !pump.look() {
        signal(pump, Signal::TERM);
        if !wait_for_group(pump, grace) {
            signal(pump, Signal::KILL);
            wait_for_group(pump, KILL_WAIT);
        }
    }
    if !pump.has_ended() {
        return false;
    }
    take_last_bytes(pump);
    pump.failures.clear();
    if let Some(leader) = &mut pump.leader {
        leader.reap();
    }
    true
}

fn signal(pump: &mut Pump<'_>, signal: Signal) {
    if let Some(leader) = &mut pump.leader {
        leader.signal_group(signal);
    }
}

/// Moves bytes until nobody of the group is alive; false when `time` is over before.
fn wait_for_group(pump: &mut Pump<'_>, time: Duration) -> bool {
    // A time beyond what the clock can count is no limit.
    let deadline = Instant::now().checked_add(time);
    let mut pause = LOOKS.0;
    let mut next_look = Instant::now();
    loop {
        let now = Instant::now();
        if pump.has_ended() && now >= next_look {
            if !pump.leader.as_ref().is_some_and(Leader::has_company) {
                return true;
            }
            next_look = Instant::now() + pause;
            pause = (pause * 2).min(LOOKS.1);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        if left == Some(Duration::ZERO) {
            return false;
        }
        let to_look = pump.has_ended().then(|| next_look.saturating_duration_since(now));
        pump.turn(left.into_iter().chain(to_look).min());
    }
}

/// The pipes may still hold what the group wrote last. A sink that takes nothing is not waited for.
fn take_last_bytes(pump: &mut Pump<'_>) {
    let start = Instant::now();
    let mut last = start;
    while !pump.is_complete() && start.elapsed() < DRAIN_TOTAL {
        let Some(left) = DRAIN_IDLE.checked_sub(last.elapsed()).filter(|left| !left.is_zero()) else {
            return;
        };
        if pump.turn(Some(left)) {
            last = Instant::now();
        }
    }
}
