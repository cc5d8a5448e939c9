//! A thread for what can only block: one job at a time, on one buffer that goes back and forth. What the job is, and
//! whose reader or writer it calls, stands where the worker is made.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::waker::Waker;

/// How long [`Worker::close`] waits for a thread that is not inside a job: it only has to drop what it owns. A drop that
/// blocks is left alone after this.
const CLOSE_WAIT: Duration = Duration::from_millis(100);

/// The loop's side of a worker thread. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// `None` for a scoped thread, which its scope joins, and after closing.
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    waker: Waker,
}

#[derive(Debug)]
struct State {
    slot: Slot,
    closing: bool,
    /// The thread has dropped its job and is about to end.
    gone: bool,
}

#[derive(Debug)]
enum Slot {
    Idle,
    Queued(Vec<u8>),
    Running,
    Done(Vec<u8>, io::Result<()>),
}

impl Worker {
    /// A thread that may outlive its worker, inside a job that does not return.
    pub(crate) fn detached(
        waker: &Waker,
        job: impl FnMut(&mut Vec<u8>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Shared::new(waker);
        let served = Arc::clone(&shared);
        let thread = builder().spawn(move || served.serve(job))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A thread that its scope joins, however long its job takes.
    pub(crate) fn scoped<'scope>(
        waker: &Waker,
        scope: &'scope Scope<'scope, '_>,
        job: impl FnMut(&mut Vec<u8>) -> io::Result<()> + Send + 'scope,
    ) -> io::Result<(Self, ScopedJoinHandle<'scope, ()>)> {
        let shared = Shared::new(waker);
        let served = Arc::clone(&shared);
        let thread = builder().spawn_scoped(scope, move || served.serve(job))?;
        Ok((Self { shared, thread: None }, thread))
    }

    /// Gives the thread its next job. The one before must have been [taken](Self::take_result).
    pub(crate) fn submit(&self, buffer: Vec<u8>) {
        self.shared.lock().slot = Slot::Queued(buffer);
        self.shared.changed.notify_all();
    }

    /// The buffer and the outcome of the job, once it is done; the waker is woken then.
    pub(crate) fn take_result(&self) -> Option<(Vec<u8>, io::Result<()>)> {
        let mut state = self.shared.lock();
        match std::mem::replace(&mut state.slot, Slot::Idle) {
            Slot::Done(buffer, outcome) => Some((buffer, outcome)),
            other => {
                state.slot = other;
                None
            }
        }
    }

    /// Ends the thread, unless it is inside a job: then it ends after that. A job that was posted and not begun is
    /// forgotten.
    fn close(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        self.shared.changed.notify_all();
        if matches!(state.slot, Slot::Running) {
            return;
        }
        let Some(thread) = self.thread.take() else { return };
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, CLOSE_WAIT, |state| !state.gone)
            .unwrap_or_else(PoisonError::into_inner);
        let gone = state.gone;
        drop(state);
        if gone {
            // Its panics are caught, and there is nothing it could answer.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn new(waker: &Waker) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { slot: Slot::Idle, closing: false, gone: false }),
            changed: Condvar::new(),
            waker: waker.clone(),
        })
    }

    /// The life of the thread. A panic of the caller's reader or writer is an error like any other, so that nobody waits
    /// for an answer that never comes; one in its drop has nobody left to hear it.
    fn serve(&self, mut job: impl FnMut(&mut Vec<u8>) -> io::Result<()>) {
        while let Some(mut buffer) = self.next() {
            let outcome = catch_unwind(AssertUnwindSafe(|| job(&mut buffer)))
                .unwrap_or_else(|_| Err(io::Error::other("it panicked")));
            self.lock().slot = Slot::Done(buffer, outcome);
            self.waker.wake();
        }
        let _ = catch_unwind(AssertUnwindSafe(|| drop(job)));
        self.lock().gone = true;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if state.closing {
                return None;
            }
            state.slot = match std::mem::replace(&mut state.slot, Slot::Running) {
                Slot::Queued(buffer) => return Some(buffer),
                other => other,
            };
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No code of a caller's runs under the lock, so a poisoned one still holds a whole state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn builder() -> Builder {
    // Linux cuts names at 15 bytes.
    Builder::new().name("rt-process-io".to_owned())
}
