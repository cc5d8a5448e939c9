//! Threads for calls that block: at most so many at once, kept for a moment, and joined when they
//! end.
//!
//! A thread is reused. On the machine of the tests, a new one costs 90 µs and a kept one 3 µs, and
//! a short command of a warm container takes about a millisecond.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rt_protocol::Until;
use rt_protocol::sync::{Notify, lock};

/// How long a thread without work is kept.
const IDLE_LIMIT: Duration = Duration::from_secs(1);

/// Blocking work. What it returns is called once its place is free for the next one.
pub(crate) type Job = Box<dyn FnOnce() -> Option<Deliver> + Send>;

/// Hands over the answer of a job.
pub(crate) type Deliver = Box<dyn FnOnce() + Send>;

/// The threads of one runtime.
pub(crate) struct Threads {
    at_once: usize,
    stack_size: usize,
    state: Mutex<State>,
    /// Notified when a thread has less to do.
    changed: Notify,
    /// As `changed`, for tasks.
    asleep: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    /// How many jobs count against `at_once`, and how many do not.
    running: usize,
    held: usize,
    /// How many jobs wait for something as long as a task does: they are not waited for.
    watching: usize,
    /// The jobs that wait for their turn, in order.
    waiting: BTreeMap<u64, Job>,
    next: u64,
    /// The threads without work. The last one is used first, so that the others end.
    idle: Vec<Arc<Mailbox>>,
    threads: HashMap<u64, JoinHandle<()>>,
    /// The thread that ended last. The next one that ends joins it.
    ended: Option<JoinHandle<()>>,
}

/// How a thread gets its work.
#[derive(Debug)]
struct Mailbox {
    number: u64,
    letter: Mutex<Option<Letter>>,
    delivered: Notify,
}

enum Letter {
    Work(Work),
    End,
}

struct Work {
    job: Job,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Counts against `at_once`.
    Call,
    Held,
    Watch,
}

/// What the threads do at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadCounts {
    pub(crate) running: usize,
    pub(crate) held: usize,
    pub(crate) waiting: usize,
    pub(crate) threads: usize,
}

impl Threads {
    pub(crate) fn new(at_once: usize, stack_size: usize) -> Arc<Self> {
        Arc::new(Self {
            at_once: at_once.max(1),
            stack_size,
            state: Mutex::default(),
            changed: Notify::default(),
            asleep: tokio::sync::Notify::new(),
        })
    }

    pub(crate) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Starts a job, or lets it wait for its turn: then the result is its number.
    ///
    /// # Errors
    /// The operating system refuses a thread. The job is dropped.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) -> io::Result<Option<u64>> {
        let mut state = lock(&self.state);
        if state.running >= self.at_once {
            let number = state.next_number();
            state.waiting.insert(number, job);
            return Ok(Some(number));
        }
        self.start(&mut state, Work { job, kind: Kind::Call }).map_err(|(error, _)| error)?;
        state.running += 1;
        Ok(None)
    }

    /// Takes back a job that waits. False if it does not wait any more.
    pub(crate) fn withdraw(&self, number: u64) -> bool {
        let job = lock(&self.state).waiting.remove(&number);
        // Dropped outside the lock: it may own anything.
        job.is_some()
    }

    /// Starts a job that neither waits for its turn nor keeps others from theirs.
    ///
    /// # Errors
    /// The operating system refuses a thread. The job is returned.
    pub(crate) fn hold(self: &Arc<Self>, job: Job) -> Result<(), (io::Error, Job)> {
        let mut state = lock(&self.state);
        self.start(&mut state, Work { job, kind: Kind::Held }).map_err(|(error, work)| (error, work.job))?;
        state.held += 1;
        Ok(())
    }

    /// Starts a job that ends when no task waits for it any more.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub(crate) fn watch(self: &Arc<Self>, job: Job) -> io::Result<()> {
        let mut state = lock(&self.state);
        self.start(&mut state, Work { job, kind: Kind::Watch }).map_err(|(error, _)| error)?;
        state.watching += 1;
        Ok(())
    }

    pub(crate) fn counts(&self) -> ThreadCounts {
        let state = lock(&self.state);
        ThreadCounts {
            running: state.running,
            held: state.held + state.watching,
            waiting: state.waiting.len(),
            threads: state.threads.len(),
        }
    }

    /// Waits until nothing is running, and ends the threads, but those that watch if `may_watch`
    /// says so.
    pub(crate) async fn wait_for_end(&self, may_watch: impl Fn() -> bool) {
        loop {
            let asleep = self.asleep.notified();
            if self.try_end(may_watch()) {
                return;
            }
            asleep.await;
        }
    }

    /// As [`wait_for_end`](Self::wait_for_end), on this thread. Returns at once on a thread of its
    /// own, which would wait for itself.
    pub(crate) fn block_until_end(&self, until: &Until) {
        let current = std::thread::current().id();
        if lock(&self.state).threads.values().any(|thread| thread.thread().id() == current) {
            return;
        }
        // At the limit, the threads end by themselves when their work does.
        let _ = self.changed.wait_for(until, || self.try_end(false).then_some(()));
    }

    /// Dismisses the idle threads, if nothing is running. True once all threads have ended, but
    /// those that watch, if these may stay.
    fn try_end(&self, may_watch: bool) -> bool {
        let mut state = lock(&self.state);
        if state.running > 0 || state.held > 0 {
            return false;
        }
        for mailbox in std::mem::take(&mut state.idle) {
            mailbox.deliver(Letter::End);
        }
        if state.threads.len() > if may_watch { state.watching } else { 0 } {
            return false;
        }
        let ended = state.ended.take();
        drop(state);
        // It does nothing more but end.
        ended.map(JoinHandle::join);
        true
    }

    fn start(self: &Arc<Self>, state: &mut State, work: Work) -> Result<(), (io::Error, Work)> {
        if let Some(mailbox) = state.idle.pop() {
            mailbox.deliver(Letter::Work(work));
            return Ok(());
        }
        let number = state.next_number();
        let letter = Mutex::new(Some(Letter::Work(work)));
        let mailbox = Arc::new(Mailbox { number, letter, delivered: Notify::default() });
        let (threads, received) = (Arc::clone(self), Arc::clone(&mailbox));
        let started = Builder::new()
            .name(String::from("rt-call"))
            .stack_size(self.stack_size)
            .spawn(move || threads.serve(&received));
        match (started, mailbox) {
            (Ok(thread), _) => {
                state.threads.insert(number, thread);
                Ok(())
            }
            (Err(error), mailbox) => match mailbox.take() {
                Some(Letter::Work(work)) => Err((error, work)),
                _ => unreachable!("nothing else was put in"),
            },
        }
    }

    /// What one thread does.
    fn serve(&self, mailbox: &Arc<Mailbox>) {
        let mut received = mailbox.take();
        while let Some(Letter::Work(work)) = received {
            let mut next = Some(work);
            while let Some(Work { job, kind }) = next {
                // A job catches the panics of its call; these are of values that are dropped.
                let deliver = catch_unwind(AssertUnwindSafe(job)).unwrap_or_default();
                next = self.finish(kind, mailbox);
                let _ = catch_unwind(AssertUnwindSafe(|| deliver.map(|deliver| deliver())));
            }
            received = self.wait_for_work(mailbox);
        }
        self.end(mailbox.number);
    }

    /// Takes the job that has waited longest, in the place of the one that is done.
    fn finish(&self, kind: Kind, mailbox: &Arc<Mailbox>) -> Option<Work> {
        let mut state = lock(&self.state);
        match kind {
            Kind::Held => state.held -= 1,
            Kind::Watch => state.watching -= 1,
            Kind::Call => match state.waiting.pop_first() {
                Some((_, job)) => return Some(Work { job, kind }),
                None => state.running -= 1,
            },
        }
        state.idle.push(Arc::clone(mailbox));
        drop(state);
        self.tell();
        None
    }

    fn wait_for_work(&self, mailbox: &Arc<Mailbox>) -> Option<Letter> {
        let limit = Until::after(IDLE_LIMIT);
        if let Ok(letter) = mailbox.delivered.wait_for(&limit, || mailbox.take()) {
            return Some(letter);
        }
        let mut state = lock(&self.state);
        match state.idle.iter().position(|idle| Arc::ptr_eq(idle, mailbox)) {
            Some(place) => {
                state.idle.remove(place);
                None
            }
            // Somebody was quicker, and has delivered before unlocking.
            None => mailbox.take(),
        }
    }

    fn end(&self, number: u64) {
        let mut state = lock(&self.state);
        let own = state.threads.remove(&number);
        let earlier = std::mem::replace(&mut state.ended, own);
        drop(state);
        earlier.map(JoinHandle::join);
        self.tell();
    }

    fn tell(&self) {
        self.changed.notify();
        self.asleep.notify_waiters();
    }
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Mailbox {
    fn deliver(&self, letter: Letter) {
        *lock(&self.letter) = Some(letter);
        self.delivered.notify();
    }

    fn take(&self) -> Option<Letter> {
        lock(&self.letter).take()
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Work(_) => "Work",
            Self::End => "End",
        })
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("at_once", &self.at_once)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
