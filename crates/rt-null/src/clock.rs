//! The clock of a runtime: real time that a test can freeze, set and advance. How calls spend it is
//! in `streams/waiter`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::streams::notify::{WaiterList, lock};

/// The clock that a [`NullRuntime`](crate::NullRuntime) uses for events, logs and results.
///
/// It shows the system's time plus all skipped time, so times from null can be compared with times
/// from the program. Nothing in this crate sleeps for a scripted delay: the clock advances instead.
///
/// **How it relates to [`Until`](rt_protocol::Until).** A call's budget is what `until.remaining()`
/// returns when the call begins.
/// - A scripted delay of the call (latency, a pause in a script, a log line that is not yet due) is
///   taken from the budget and added to the clock at once. If the delay exceeds the budget, the
///   call ends as if its deadline had passed, and the clock advances by the rest of the budget. The
///   delays of one call are never taken from the budget of another, so results do not depend on the
///   order of threads.
/// - [`advance`](Self::advance) moves the clock for every call in progress and is taken from the
///   budget of each. A waiting call wakes up and finds its deadline passed or its log line due.
/// - Real time is taken from the budget too: no call outlives its `Until` in real time.
/// - A stream that returns [`Pending`](rt_protocol::Pull::Pending) has used up the budget of that
///   pull by this clock. The `Until` itself need not have passed.
/// - If an `Until` is used for several calls, each call gets the real time that is left. Scripted
///   delays of earlier calls are not deducted.
///
/// Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use rt_null::{ExecReply, NullRuntime};
/// use rt_protocol::{
///     ContainerName, ContainerRuntime, ContainerState, ErrorKind, ExecRequest, Until,
/// };
///
/// let runtime = NullRuntime::new();
/// runtime.set_state("job", ContainerState::Running)?;
/// runtime.set_exec("job", ["make"], ExecReply::success().after(Duration::from_secs(600)))?;
/// runtime.clock().freeze();
/// let begun = runtime.clock().now();
///
/// let job = runtime.container(&ContainerName::new("job")?);
/// let make = ExecRequest::new(["make"])?;
/// let result = job.exec(&make, &Until::forever())?;
/// assert_eq!(result.elapsed, Duration::from_secs(600));
/// assert_eq!(runtime.clock().now(), begun + Duration::from_secs(600));
///
/// let error = job.exec(&make, &Until::after(Duration::from_secs(60))).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NullClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    born: Instant,
    state: Mutex<State>,
    waiters: Arc<WaiterList>,
}

#[derive(Debug)]
struct State {
    /// The time that was set, and the elapsed time at which it was set.
    set: (SystemTime, Duration),
    /// The real elapsed time at which the clock was frozen.
    frozen: Option<Duration>,
    /// The sum of all delays and advances.
    skipped: Duration,
    /// The sum of the advances alone.
    advanced: Duration,
    skip_waits: bool,
}

impl NullClock {
    pub(crate) fn new(waiters: Arc<WaiterList>) -> Self {
        let state = State {
            set: (SystemTime::now(), Duration::ZERO),
            frozen: None,
            skipped: Duration::ZERO,
            advanced: Duration::ZERO,
            skip_waits: false,
        };
        Self(Arc::new(Shared { born: Instant::now(), state: Mutex::new(state), waiters }))
    }

    pub(crate) fn waiters(&self) -> &Arc<WaiterList> {
        &self.0.waiters
    }

    /// Returns the current time.
    pub fn now(&self) -> SystemTime {
        self.at(self.elapsed())
    }

    /// Returns the time since the runtime was created, skipped time included.
    pub fn elapsed(&self) -> Duration {
        let state = lock(&self.0.state);
        self.real(&state).saturating_add(state.skipped)
    }

    /// Advances the clock, and with it every call in progress.
    pub fn advance(&self, duration: Duration) {
        {
            let mut state = lock(&self.0.state);
            state.skipped = state.skipped.saturating_add(duration);
            state.advanced = state.advanced.saturating_add(duration);
        }
        self.0.waiters.notify_all();
    }

    /// Sets the current time. Times that were recorded before do not change.
    pub fn set(&self, now: SystemTime) {
        let elapsed = self.elapsed();
        lock(&self.0.state).set = (now, elapsed);
    }

    /// Freezes the clock: from now on only skipped time moves it, so every time in a test is exact.
    /// Deadlines still pass in real time. A frozen clock cannot be unfrozen.
    pub fn freeze(&self) {
        let mut state = lock(&self.0.state);
        if state.frozen.is_none() {
            state.frozen = Some(self.0.born.elapsed());
        }
    }

    /// Sets whether a call that waits for something inside the runtime (an event, a log line, the
    /// end of a container) skips to its deadline at once.
    ///
    /// Off by default, because another thread of the test may cause what the call waits for. When
    /// on, a test of a timeout takes no time. A call without a deadline waits either way, and so
    /// does one that waits for bytes from the caller.
    pub fn skip_waits(&self, skip: bool) {
        lock(&self.0.state).skip_waits = skip;
        self.0.waiters.notify_all();
    }

    /// Returns the time at this elapsed time of the clock.
    pub(crate) fn at(&self, elapsed: Duration) -> SystemTime {
        let (shown, since) = lock(&self.0.state).set;
        if elapsed >= since {
            shown.checked_add(elapsed.saturating_sub(since)).unwrap_or(shown)
        } else {
            shown.checked_sub(since.saturating_sub(elapsed)).unwrap_or(shown)
        }
    }

    /// Advances the clock for one call.
    pub(crate) fn skip(&self, duration: Duration) {
        let mut state = lock(&self.0.state);
        state.skipped = state.skipped.saturating_add(duration);
    }

    /// Returns how far [`advance`](Self::advance) has moved the clock.
    pub(crate) fn advanced(&self) -> Duration {
        lock(&self.0.state).advanced
    }

    pub(crate) fn skips_waits(&self) -> bool {
        lock(&self.0.state).skip_waits
    }

    /// Returns the real elapsed time without skipped time; constant once frozen.
    pub(crate) fn real_elapsed(&self) -> Duration {
        self.real(&lock(&self.0.state))
    }

    fn real(&self, state: &State) -> Duration {
        state.frozen.unwrap_or_else(|| self.0.born.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_by_what_is_skipped_alone() {
        let clock = NullClock::new(Arc::default());
        clock.freeze();
        let day = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        clock.set(day);
        assert_eq!(clock.now(), day);
        clock.advance(Duration::from_secs(1));
        clock.skip(Duration::from_secs(2));
        assert_eq!(clock.now(), day + Duration::from_secs(3));
        assert_eq!(clock.advanced(), Duration::from_secs(1));
    }
}
