//! Ends a process group within a bounded time: TERM, a grace period, KILL. The caller decides which
//! group to end, and when.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child_process::ChildProcess;

/// How long a killed group may take to disappear.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// The first and the longest pause between two checks for living members of a group whose leader
/// has exited. No descriptor reports the end of processes that are not our children.
const POLL_PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Ends the group of a process that still runs. Returns false if the leader still exists.
///
/// `pass` lets at most the given time pass, and may return early. If it is told that the leader
/// runs, it returns when the leader exits.
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

/// Returns false if a member of the group is still alive after `time`.
fn wait_for_group(
    process: &ChildProcess,
    time: Duration,
    pass: &mut dyn FnMut(bool, Option<Duration>),
) -> bool {
    // A time beyond the range of the clock means no limit.
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
