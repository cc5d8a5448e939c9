//! One connection to a guest, as everybody but its own thread sees it: seats on it, jobs for it, its end.

pub(crate) mod banner;
pub(crate) mod connect;
pub(crate) mod poll_loop;
pub(crate) mod pool;
pub(crate) mod server;
pub(crate) mod tcp;

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rt_process::Waker;
use rt_protocol::{Error, ErrorKind, Result};

use super::channel::job::{Job, JobEnd, NotStarted, Ticket};
use connect::Connection;
use pool::Bell;

use tcp::Watch;

/// How a connection is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// How long the way to a connection may take.
    pub(super) connect_limit: Duration,
    /// After how long without a word from the guest it is asked for one.
    pub(super) keepalive: Duration,
    /// How long a connection without commands is kept.
    pub(super) idle: Duration,
}

/// Without a word for this many keepalive intervals, in spite of being asked, the guest is gone.
pub(super) const SILENT_INTERVALS: u32 = 3;

/// A connection. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct SshSession(Arc<Line>);

/// What the thread that owns the connection has in common with everybody else.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    pub(super) waker: Waker,
    pub(super) keeping: Keeping,
    bell: Bell,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    jobs: VecDeque<Job>,
    seats: usize,
    most_seats: usize,
    /// No new commands; it ends with those it has.
    is_retired: bool,
    socket: Option<Arc<TcpStream>>,
    /// Its thread is done with it.
    has_ended: bool,
}

#[derive(Debug)]
enum Stage {
    Connecting,
    Ready,
    /// Over; the reason, when it never came to be.
    Gone(Option<Error>),
}

impl SshSession {
    /// Begins a connection: a thread of its own calls `connect`, and then serves the jobs until the connection ends. The
    /// last thing that it does is to call `ended`.
    pub(super) fn open(
        keeping: Keeping,
        most_seats: usize,
        bell: Bell,
        connect: impl FnOnce(&Watch<'_>) -> Result<Connection> + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let state = State {
            stage: Stage::Connecting,
            jobs: VecDeque::new(),
            seats: 0,
            most_seats,
            is_retired: false,
            socket: None,
            has_ended: false,
        };
        let line = Arc::new(Line { state: Mutex::new(state), waker: Waker::new()?, keeping, bell });
        let served = Arc::clone(&line);
        // Linux cuts names at 15 bytes.
        thread::Builder::new().name(String::from("rt-krun-ssh")).spawn(move || {
            // Also after a panic nobody waits for a connection that nobody serves.
            let guard = GoneOnDrop(&served);
            let watch = Watch {
                waker: &served.waker,
                deadline: Instant::now() + served.keeping.connect_limit,
                is_called_off: &|| served.is_called_off(),
            };
            match connect(&watch) {
                Ok(connection) => {
                    served.ready(&connection);
                    poll_loop::run(&served, connection);
                }
                Err(error) => served.gone(Some(error)),
            }
            drop(guard);
            ended();
        })?;
        Ok(Self(line))
    }

    /// A seat for one command, if there is one.
    pub(super) fn seat(&self) -> Option<Seat> {
        let mut state = self.0.lock();
        let is_open = !matches!(state.stage, Stage::Gone(_)) && !state.is_retired;
        (is_open && state.seats < state.most_seats).then(|| {
            state.seats += 1;
            Seat(self.clone())
        })
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.0.lock().stage, Stage::Connecting)
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.0.lock().stage, Stage::Gone(_))
    }

    /// Whether its thread is done with it, and its socket is closed.
    pub(super) fn has_ended(&self) -> bool {
        self.0.lock().has_ended
    }

    /// How many seats are taken.
    pub(super) fn seats(&self) -> usize {
        self.0.lock().seats
    }

    /// It takes no new commands, and ends with those it has.
    pub(super) fn retire(&self) {
        self.0.lock().is_retired = true;
        self.0.waker.wake();
    }

    /// It ends now, with all its commands; also when its thread is stuck in what a guest keeps sending.
    pub(super) fn cut(&self) {
        let socket = {
            let mut state = self.0.lock();
            state.is_retired = true;
            state.socket.take()
        };
        if let Some(socket) = socket {
            // Not connected any more: then it has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.0.waker.wake();
    }
}

/// The right to run one command on a connection. It also keeps the connection from being closed as idle.
#[derive(Debug)]
pub(super) struct Seat(SshSession);

impl Seat {
    pub(super) fn session(&self) -> &SshSession {
        &self.0
    }

    /// Hands a job to the connection.
    pub(super) fn post(&self, job: Job) {
        let line = &self.0.0;
        let mut state = line.lock();
        if let Stage::Gone(why) = &state.stage {
            job.claim.end(not_started(why.as_ref()));
            return;
        }
        state.jobs.push_back(job);
        drop(state);
        line.waker.wake();
    }

    /// Leaves the job. Whether it will certainly never run.
    pub(super) fn leave(&self, ticket: &Ticket) -> bool {
        let never = ticket.leave();
        self.ring();
        never
    }

    /// Has a signal sent to the command.
    pub(super) fn signal(&self, ticket: &Ticket, name: &'static str) {
        ticket.signal(name);
        self.ring();
    }

    fn ring(&self) {
        self.0.0.waker.wake();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let line = &self.0.0;
        let mut state = line.lock();
        state.seats -= 1;
        // Nobody waits for it to come to be, or it only waited for the last of them.
        let can_end = state.seats == 0 && (state.is_retired || matches!(state.stage, Stage::Connecting));
        drop(state);
        if can_end {
            line.waker.wake();
        }
        line.bell.ring();
    }
}

impl Line {
    /// Jobs that were posted since the last time.
    pub(super) fn take_jobs(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.lock().jobs)
    }

    pub(super) fn is_retired(&self) -> bool {
        self.lock().is_retired
    }

    /// Takes no new commands from now on.
    pub(super) fn retire(&self) {
        self.lock().is_retired = true;
    }

    /// The guest takes no more than this many channels.
    pub(super) fn limit_seats(&self, most: usize) {
        self.lock().most_seats = most.max(1);
    }

    /// Ends a connection that nobody uses; false when somebody does.
    pub(super) fn close_idle(&self) -> bool {
        let mut state = self.lock();
        let is_idle = state.seats == 0 && state.jobs.is_empty();
        if is_idle {
            state.stage = Stage::Gone(None);
        }
        is_idle
    }

    fn is_called_off(&self) -> bool {
        let state = self.lock();
        state.is_retired || state.seats == 0
    }

    fn ready(&self, connection: &Connection) {
        let mut state = self.lock();
        state.stage = Stage::Ready;
        state.socket = Some(Arc::clone(&connection.socket));
        drop(state);
        self.bell.ring();
    }

    fn gone(&self, why: Option<Error>) {
        let jobs = {
            let mut state = self.lock();
            state.socket = None;
            state.has_ended = true;
            if !matches!(state.stage, Stage::Gone(_)) {
                state.stage = Stage::Gone(why.clone());
            }
            std::mem::take(&mut state.jobs)
        };
        for job in jobs {
            job.claim.end(not_started(why.as_ref()));
        }
        self.bell.ring();
    }

    /// Nothing panics under the lock, so a poisoned one still holds a whole state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_started(why: Option<&Error>) -> JobEnd {
    JobEnd::NotStarted(match why {
        // Called off just before somebody wanted it again: that one is to have another.
        Some(error) if error.kind() != ErrorKind::Cancelled => NotStarted::Refused(error.clone()),
        _ => NotStarted::ConnectionDied,
    })
}

struct GoneOnDrop<'a>(&'a Line);

impl Drop for GoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.gone(None);
    }
}
