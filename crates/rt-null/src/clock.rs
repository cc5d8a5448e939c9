//! The clock of a runtime: real time that a test can stop, set and move. How calls use it up stands in `waiter`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::streams::notify::{WaiterList, lock};

/// The clock by which a [`NullRuntime`](crate::NullRuntime) tells the time of its events, logs and results.
///
/// It shows the system's time plus whatever was skipped, so that times of null and times of the program compare. Nothing
/// in this crate sleeps for a scripted delay: the clock is moved on instead.
///
/// **How it relates to [`Until`](rt_protocol::Until).** What `until.remaining()` says when a call begins is the budget of
/// that call.
/// - A scripted delay of the call (latency, a pause in a script, a log line that is not yet due) is taken from the budget
///   and added to the clock, at once. A delay that the budget cannot pay ends the call right there, as its deadline would;
///   the clock is then moved by the rest of the budget. The delays of one call are never taken from the budget of
///   another, so that what many threads do does not depend on their order.
/// - [`advance`](Self::advance) moves the clock for everybody: it is taken from the budget of every call that is under
///   way, and a call that waits wakes up and finds its deadline passed or its log line due.
/// - Real time is taken from the budget too: no call outlives its `Until` on the wall.
/// - A stream that answers [`Pending`](rt_protocol::Pull::Pending) says that the budget of that pull is used up by the clock;
///   the `Until` itself need not have passed.
/// - An `Until` that is used for several calls gives each what is really left of it; delays of earlier calls are not
///   taken off.
///
/// Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use rt_null::{ExecReply, NullRuntime};
/// use rt_protocol::{ContainerName, ContainerRuntime, ContainerState, ErrorKind, ExecRequest, Until};
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
    /// What the clock showed at that point of its own time.
    set: (SystemTime, Duration),
    /// The real part of its time, once it stands still.
    frozen: Option<Duration>,
    /// What delays and advances have added.
    skipped: Duration,
    /// What advances alone have added.
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

    /// What it shows.
    pub fn now(&self) -> SystemTime {
        self.at(self.elapsed())
    }

    /// How long it has run since the runtime was made, skipped time included.
    pub fn elapsed(&self) -> Duration {
        let state = lock(&self.0.state);
        self.real(&state).saturating_add(state.skipped)
    }

    /// Moves it on, and with it every call that is under way.
    pub fn advance(&self, duration: Duration) {
        {
            let mut state = lock(&self.0.state);
            state.skipped = state.skipped.saturating_add(duration);
            state.advanced = state.advanced.saturating_add(duration);
        }
        self.0.waiters.notify_all();
    }

    /// Sets what it shows. The times of what has happened stay as they were recorded.
    pub fn set(&self, now: SystemTime) {
        let elapsed = self.elapsed();
        lock(&self.0.state).set = (now, elapsed);
    }

    /// Lets it stand still but for what is skipped, so that every time and every elapsed time in a test is exact.
    /// Deadlines still pass in real time. There is no way back.
    pub fn freeze(&self) {
        let mut state = lock(&self.0.state);
        if state.frozen.is_none() {
            state.frozen = Some(self.0.born.elapsed());
        }
    }

    /// Whether a call that would wait for something inside the runtime (an event, a log line, the end of a container)
    /// skips to its deadline instead of waiting for it. Off at first, because another thread of the test may bring
    /// what is waited for; on, a test of a timeout takes no time. A call without a deadline waits either way, and so
    /// does one that waits for bytes of the caller.
    pub fn skip_waits(&self, skip: bool) {
        lock(&self.0.state).skip_waits = skip;
        self.0.waiters.notify_all();
    }

    /// The time at a point of the clock's own time.
    pub(crate) fn at(&self, elapsed: Duration) -> SystemTime {
        let (shown, since) = lock(&self.0.state).set;
        if elapsed >= since {
            shown.checked_add(elapsed.saturating_sub(since)).unwrap_or(shown)
        } else {
            shown.checked_sub(since.saturating_sub(elapsed)).unwrap_or(shown)
        }
    }

    /// Moves it on for one call.
    pub(crate) fn skip(&self, duration: Duration) {
        let mut state = lock(&self.0.state);
        state.skipped = state.skipped.saturating_add(duration);
    }

    /// How far it was moved for everybody.
    pub(crate) fn advanced(&self) -> Duration {
        lock(&self.0.state).advanced
    }

    pub(crate) fn skips_waits(&self) -> bool {
        lock(&self.0.state).skip_waits
    }

    /// The time without what was skipped: real, and standing still once frozen.
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
