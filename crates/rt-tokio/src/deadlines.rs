//! Deadlines for tasks, by a thread that exists while a task waits for one.
//!
//! tokio's timers are not used: a test may pause them, and a program may leave them out.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Instant;

use rt_protocol::sync::{Notify, lock};

use crate::threads::Threads;

/// The deadlines that tasks wait for. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wakers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    has_thread: bool,
}

/// A deadline of one task. Dropping it forgets it.
#[derive(Debug)]
pub(crate) struct Timer {
    deadlines: Deadlines,
    key: (Instant, u64),
}

impl Deadlines {
    pub(crate) fn at(&self, instant: Instant) -> Timer {
        let mut state = lock(&self.0.state);
        state.next += 1;
        Timer { deadlines: self.clone(), key: (instant, state.next) }
    }

    /// Returns whether a task waits for a deadline.
    pub(crate) fn has_waiters(&self) -> bool {
        !lock(&self.0.state).wakers.is_empty()
    }

    /// What the thread does: it wakes the tasks whose deadlines have passed, until none waits.
    fn serve(&self) {
        loop {
            let seen = self.0.changed.count();
            let mut state = lock(&self.0.state);
            let later = state.wakers.split_off(&(Instant::now(), u64::MAX));
            let passed = std::mem::replace(&mut state.wakers, later);
            let next = state.wakers.keys().next().map(|(instant, _)| *instant);
            state.has_thread = next.is_some();
            drop(state);
            passed.into_values().for_each(Waker::wake);
            let Some(next) = next else { return };
            self.0.changed.wait_beyond(seen, Some(next.saturating_duration_since(Instant::now())));
        }
    }
}

impl Timer {
    /// Wakes the task when the deadline has passed, unless it has already.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub(crate) fn wake_later(&self, waker: &Waker, threads: &Arc<Threads>) -> io::Result<()> {
        let shared = &self.deadlines.0;
        let mut state = lock(&shared.state);
        state.wakers.insert(self.key, waker.clone());
        let is_first = state.wakers.keys().next() == Some(&self.key);
        let needs_thread = !std::mem::replace(&mut state.has_thread, true);
        drop(state);
        if !needs_thread {
            if is_first {
                shared.changed.notify();
            }
            return Ok(());
        }
        let deadlines = self.deadlines.clone();
        let job = Box::new(move || {
            deadlines.serve();
            None
        });
        threads.watch(job).inspect_err(|_| lock(&shared.state).has_thread = false)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let shared = &self.deadlines.0;
        let mut state = lock(&shared.state);
        let was_set = state.wakers.remove(&self.key).is_some();
        let is_last = state.wakers.is_empty();
        drop(state);
        if was_set && is_last {
            shared.changed.notify();
        }
    }
}
