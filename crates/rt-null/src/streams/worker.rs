//! A thread that calls a reader or writer of the caller, one job at a time. The jobs are defined by
//! its owner.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rt_protocol::Until;
use rt_protocol::sync::{Notify, lock};

/// Runs jobs that may block forever, so that the call that gives them does not.
///
/// Dropping it ends the thread: at once if it is idle, otherwise when the job returns. Until then
/// the thread stays behind, inside the caller's code.
#[derive(Debug)]
pub(crate) struct Worker<J, R> {
    shared: Arc<WorkerShared<J, R>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct WorkerShared<J, R> {
    state: Mutex<WorkerState<J, R>>,
    changed: Notify,
}

#[derive(Debug)]
struct WorkerState<J, R> {
    job: Option<J>,
    busy: bool,
    result: Option<io::Result<R>>,
    closed: bool,
}

impl<J: Send + 'static, R: Send + 'static> Worker<J, R> {
    /// Starts the thread. `notify` is notified when a job is done.
    pub(crate) fn spawn(
        notify: &Notify,
        mut work: impl FnMut(J) -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        let state = WorkerState { job: None, busy: false, result: None, closed: false };
        let shared = Arc::new(WorkerShared { state: Mutex::new(state), changed: Notify::default() });
        let (theirs, notify) = (Arc::clone(&shared), notify.clone());
        let thread = thread::Builder::new().name("rt-null stream".into()).spawn(move || {
            while let Some(job) = theirs.take_job() {
                // A panic in the caller's code ends the stream, and the command with it.
                let result = catch_unwind(AssertUnwindSafe(|| work(job)))
                    .unwrap_or_else(|_| Err(io::Error::other("it panicked")));
                let mut state = lock(&theirs.state);
                state.busy = false;
                state.result = Some(result);
                drop(state);
                notify.notify();
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Gives it a job, unless one is running or a result waits to be taken. Returns whether it got
    /// the job.
    pub(crate) fn offer(&self, job: impl FnOnce() -> J) -> bool {
        let mut state = lock(&self.shared.state);
        let is_free = !state.busy && state.result.is_none();
        if is_free {
            state.job = Some(job());
            state.busy = true;
            self.shared.changed.notify();
        }
        is_free
    }

    /// Takes the result of the job, if it is done.
    pub(crate) fn take(&self) -> Option<io::Result<R>> {
        lock(&self.shared.state).result.take()
    }
}

impl<J, R> WorkerShared<J, R> {
    fn take_job(&self) -> Option<J> {
        let look = || {
            let mut state = lock(&self.state);
            if state.closed { Some(None) } else { state.job.take().map(Some) }
        };
        self.changed.wait_for(&Until::forever(), look).ok().flatten()
    }
}

impl<J, R> Drop for Worker<J, R> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.closed = true;
        let busy = state.busy;
        self.shared.changed.notify();
        drop(state);
        if !busy && let Some(thread) = self.thread.take() {
            // Panics of the job are caught above, so the join reports nothing new.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<J: Send + 'static, R: Send + 'static>(worker: &Worker<J, R>, notify: &Notify) -> io::Result<R> {
        notify.wait_for(&Until::forever(), || worker.take()).unwrap()
    }

    #[test]
    fn jobs_are_done_one_at_a_time_and_a_panic_is_an_error() {
        let notify = Notify::default();
        let worker = Worker::spawn(&notify, |job: u32| match job {
            3 => panic!("three"),
            other => Ok(other * 2),
        })
        .unwrap();
        worker.offer(|| 1);
        assert_eq!(result(&worker, &notify).unwrap(), 2);
        worker.offer(|| 3);
        assert!(result(&worker, &notify).is_err());
        worker.offer(|| 4);
        assert_eq!(result(&worker, &notify).unwrap(), 8);
    }

    #[test]
    fn an_idle_worker_is_gone_when_dropped() {
        let owned = Arc::new(());
        let theirs = Arc::clone(&owned);
        let worker = Worker::spawn(&Notify::default(), move |(): ()| {
            let _ = &theirs;
            Ok(())
        })
        .unwrap();
        drop(worker);
        assert_eq!(Arc::strong_count(&owned), 1);
    }
}
