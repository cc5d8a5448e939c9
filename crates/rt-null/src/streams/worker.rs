//! A thread that calls a caller's own reader or writer, one job at a time. What the jobs are is its owner's affair.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::notify::{Bell, lock};

/// Does jobs that may block for ever, so that the call which gave them need not.
///
/// Dropping it ends the thread: at once when it is idle, and when the job returns otherwise. Only then is a thread left
/// behind, inside code of the caller.
#[derive(Debug)]
pub(crate) struct Worker<J, R> {
    desk: Arc<Desk<J, R>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Desk<J, R> {
    papers: Mutex<Papers<J, R>>,
    turned: Condvar,
}

#[derive(Debug)]
struct Papers<J, R> {
    job: Option<J>,
    busy: bool,
    result: Option<io::Result<R>>,
    closed: bool,
}

impl<J: Send + 'static, R: Send + 'static> Worker<J, R> {
    /// Starts the thread. `bell` rings when a job is done.
    pub(crate) fn spawn(
        bell: &Arc<Bell>,
        mut work: impl FnMut(J) -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        let papers = Papers { job: None, busy: false, result: None, closed: false };
        let desk = Arc::new(Desk { papers: Mutex::new(papers), turned: Condvar::new() });
        let (theirs, bell) = (Arc::clone(&desk), Arc::clone(bell));
        let thread = thread::Builder::new().name("rt-null stream".into()).spawn(move || {
            while let Some(job) = theirs.take_job() {
                // A panic is the caller's own; it ends the stream, and the command with it.
                let result = catch_unwind(AssertUnwindSafe(|| work(job)))
                    .unwrap_or_else(|_| Err(io::Error::other("it panicked")));
                let mut papers = lock(&theirs.papers);
                papers.busy = false;
                papers.result = Some(result);
                drop(papers);
                bell.ring();
            }
        })?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Gives a job, unless one is under way or its result waits to be taken.
    pub(crate) fn offer(&self, job: impl FnOnce() -> J) {
        let mut papers = lock(&self.desk.papers);
        if !papers.busy && papers.result.is_none() {
            papers.job = Some(job());
            papers.busy = true;
            self.desk.turned.notify_all();
        }
    }

    /// Takes the result of the job, once there is one.
    pub(crate) fn take(&self) -> Option<io::Result<R>> {
        lock(&self.desk.papers).result.take()
    }
}

impl<J, R> Desk<J, R> {
    fn take_job(&self) -> Option<J> {
        let mut papers = lock(&self.papers);
        loop {
            if papers.closed {
                return None;
            }
            if let Some(job) = papers.job.take() {
                return Some(job);
            }
            papers = self.turned.wait(papers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<J, R> Drop for Worker<J, R> {
    fn drop(&mut self) {
        let mut papers = lock(&self.desk.papers);
        papers.closed = true;
        let busy = papers.busy;
        self.desk.turned.notify_all();
        drop(papers);
        if !busy && let Some(thread) = self.thread.take() {
            // Panics of the work are caught above; there is nothing else to learn from the join.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<J: Send + 'static, R: Send + 'static>(worker: &Worker<J, R>, bell: &Bell) -> io::Result<R> {
        loop {
            let seen = bell.count();
            if let Some(result) = worker.take() {
                return result;
            }
            bell.wait_past(seen, None);
        }
    }

    #[test]
    fn jobs_are_done_one_at_a_time_and_a_panic_is_an_error() {
        let bell = Arc::new(Bell::default());
        let worker = Worker::spawn(&bell, |job: u32| match job {
            3 => panic!("three"),
            other => Ok(other * 2),
        })
        .unwrap();
        worker.offer(|| 1);
        assert_eq!(result(&worker, &bell).unwrap(), 2);
        worker.offer(|| 3);
        assert!(result(&worker, &bell).is_err());
        worker.offer(|| 4);
        assert_eq!(result(&worker, &bell).unwrap(), 8);
    }

    #[test]
    fn an_idle_worker_is_gone_when_dropped() {
        let owned = Arc::new(());
        let theirs = Arc::clone(&owned);
        let worker = Worker::spawn(&Arc::new(Bell::default()), move |(): ()| {
            let _ = &theirs;
            Ok(())
        })
        .unwrap();
        drop(worker);
        assert_eq!(Arc::strong_count(&owned), 1);
    }
}
