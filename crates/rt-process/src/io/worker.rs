//! A thread for blocking operations: one job at a time, on one buffer that goes back and forth. The
//! creator of a worker defines the job.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};
use std::time::Duration;

use rt_protocol::Until;
use rt_protocol::sync::{Notify, Waker, lock};

/// How long [`Worker::close`] waits for a thread that is not inside a job. Such a thread only has
/// to drop what it owns. A drop that blocks is not waited for any longer.
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
    changed: Notify,
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
    /// Starts a thread that may outlive its worker, inside a job that does not return.
    pub(crate) fn detached(
        waker: &Waker,
        job: impl FnMut(&mut Vec<u8>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Shared::new(waker);
        let served = Arc::clone(&shared);
        let thread = builder().spawn(move || served.serve(job))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Starts a thread that its scope joins, however long its job takes.
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

    /// Gives the thread its next job. The result of the previous one must have been
    /// [taken](Self::take_result).
    pub(crate) fn submit(&self, buffer: Vec<u8>) {
        lock(&self.shared.state).slot = Slot::Queued(buffer);
        self.shared.changed.notify();
    }

    /// Returns whether the thread has taken its last job. On a busy machine that takes a while.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(lock(&self.shared.state).slot, Slot::Queued(_))
    }

    /// Returns the buffer and the result of the job once it is done. The waker is woken then.
    pub(crate) fn take_result(&self) -> Option<(Vec<u8>, io::Result<()>)> {
        let mut state = lock(&self.shared.state);
        match std::mem::replace(&mut state.slot, Slot::Idle) {
            Slot::Done(buffer, outcome) => Some((buffer, outcome)),
            other => {
                state.slot = other;
                None
            }
        }
    }

    /// Waits at most `limit` for the current job, and returns as
    /// [`take_result`](Self::take_result) does.
    pub(crate) fn wait_for_result(&self, limit: Duration) -> Option<(Vec<u8>, io::Result<()>)> {
        self.shared.changed.wait_for(&Until::after(limit), || self.take_result()).ok()
    }

    /// Ends the thread, at once or after its current job. A job that was submitted and not begun is
    /// dropped.
    fn close(&mut self) {
        let mut state = lock(&self.shared.state);
        state.closing = true;
        self.shared.changed.notify();
        if matches!(state.slot, Slot::Running) {
            return;
        }
        drop(state);
        let Some(thread) = self.thread.take() else { return };
        let gone = || lock(&self.shared.state).gone.then_some(());
        if self.shared.changed.wait_for(&Until::after(CLOSE_WAIT), gone).is_ok() {
            // Its panics are caught, so the join reports nothing.
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
            changed: Notify::default(),
            waker: waker.clone(),
        })
    }

    /// Runs the thread. A panic of the caller's reader or writer becomes an error, so that the loop
    /// does not wait for a missing result. A panic in its drop has no receiver any more.
    fn serve(&self, mut job: impl FnMut(&mut Vec<u8>) -> io::Result<()>) {
        while let Some(mut buffer) = self.next() {
            let outcome = catch_unwind(AssertUnwindSafe(|| job(&mut buffer)))
                .unwrap_or_else(|_| Err(io::Error::other("it panicked")));
            lock(&self.state).slot = Slot::Done(buffer, outcome);
            self.waker.wake();
            self.changed.notify();
        }
        let _ = catch_unwind(AssertUnwindSafe(|| drop(job)));
        lock(&self.state).gone = true;
        self.changed.notify();
    }

    /// Returns the next job; `None` if there will be none. No code of a caller runs under the lock.
    fn next(&self) -> Option<Vec<u8>> {
        let look = || {
            let mut state = lock(&self.state);
            if state.closing {
                return Some(None);
            }
            match std::mem::replace(&mut state.slot, Slot::Running) {
                Slot::Queued(buffer) => Some(Some(buffer)),
                other => {
                    state.slot = other;
                    None
                }
            }
        };
        self.changed.wait_for(&Until::forever(), look).ok().flatten()
    }
}

fn builder() -> Builder {
    // Linux truncates thread names to 15 bytes.
    Builder::new().name("rt-process-io".to_owned())
}
