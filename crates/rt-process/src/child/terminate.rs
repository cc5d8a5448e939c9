//! Ending a process group within a bounded time: TERM, a grace period, KILL. Who is to be ended, and
//! when, is the caller's.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child_process::ChildProcess;

/// How long a killed group may take to vanish.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// The first and the longest pause between two looks at who is left of a group whose leader has exited: no descriptor
/// tells when somebody else's child ends.
const POLL_PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Ends the group of a process that still runs. False when the leader is still there.
///
/// `pass` lets time pass, at most as much as it is told. Where it is told that the leader runs, it returns when that exits;
/// it may return early.
pub(crate) fn end(
    process: &ChildProcess,
    grace: Duration,
    mut pass: impl FnMut(bool, Option<Duration>),
) -> bool {
    let _unreaped = process.keep_unreaped();
    if !process.has_exited() {
        process.signal_group(Signal::TERM);
        if !wait_for_group(process, grace, &mut pass) {
            process.signal_group(Signal::KILL);
            wait_for_group(process, KILL_WAIT, &mut pass);
        }
    }
    process.has_exited()
}

/// False when `time` is over before nobody of the group is alive.
fn wait_for_group(
    process: &ChildProcess,
    time: Duration,
    pass: &mut dyn FnMut(bool, Option<Duration>),
) -> bool {
    // A time beyond what the clock can count is no limit.
    let deadline = Instant::now().checked_add(time);
    let mut pause = POLL_PAUSES.0;
    let mut next_check = Instant::now();
    loop {
        let now = Instant::now();
        let has_exited = process.has_exited();
        if has_exited && now >= next_check {
            if !process.group_is_alive() {
                return true;
            }
            next_check = Instant::now() + pause;
            pause = (pause * 2).min(POLL_PAUSES.1);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        if left == Some(Duration::ZERO) {
            return false;
        }
        let until_check = has_exited.then(|| next_check.saturating_duration_since(now));
        pass(!has_exited, left.into_iter().chain(until_check).min());
    }
}
