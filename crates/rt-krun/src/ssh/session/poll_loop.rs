//! The poll loop of a connection. Its thread owns the socket and the pipes of the commands.
//!
//! No other thread calls libssh2 on this connection, so there is no lock, and no call waits for
//! another. Nothing here blocks, except the one `poll`.
//!
//! What libssh2 reads in a call for one channel it keeps for the others, and an empty socket wakes
//! no thread. So a turn repeats its pass over the commands until none of them moved and no byte
//! arrived in between.
//!
//! One channel is opened ahead. This saves a command one exchange, and there is always a channel
//! whose reading brings in what the guest sends.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use rt_protocol::{Env, Error, ErrorKind, OutputStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::connect::Connection;
use super::server::Server;
use super::shared_session::{SILENT_INTERVALS, SharedSession};
use crate::ssh::channel::command::{Command, Progress};
use crate::ssh::channel::job::{Job, JobEnd, JobOutput, NotStarted};
use crate::ssh::raw::libssh2::{Channel, RawSession, Refusal};

/// The most that is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// The most channels, including those that are being closed. OpenSSH's `MaxSessions` is 10.
const MOST_CHANNELS: usize = 10;

/// How much a guest may send in addition to the output of its commands: a fixed amount for a
/// connection, and an amount for each byte of output, in bytes. Packets and their protection need
/// less, even if each carries a single byte. libssh2 keeps everything beyond this, although no call
/// asks for it.
const SPARE_OVERHEAD: u64 = 64 << 20;
const OVERHEAD_PER_BYTE: u64 = 128;

/// How long an answer to a request or the opening of a channel may take before waiting jobs go to
/// another connection. Meanwhile, no other channel can send a request.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// How long a guest may still count a channel after its close, and refuse another one.
const COUNTED_LIMIT: Duration = Duration::from_secs(1);

/// How long a connection with an agent is kept without a command, at least.
const LEAST_IDLE: Duration = Duration::from_secs(1);

/// The time between two attempts during that.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// Serves the jobs of `shared` until the connection ends or is no longer wanted.
pub(crate) fn run(shared: &SharedSession, connection: Connection) {
    let Connection { raw_session, socket, env, .. } = connection;
    // libssh2 sends a keepalive if at least this many seconds have passed since the last one. When
    // to call it is decided here.
    raw_session.session().set_keepalive(true, 2);
    let now = Instant::now();
    let server = Server::of(raw_session.session().banner_bytes().unwrap_or_default());
    if server.is_for_one {
        shared.limit_permits(1);
    }
    let mut channels = Channels {
        raw_session: Rc::clone(&raw_session),
        shared,
        waiting: VecDeque::new(),
        commands: Vec::new(),
        closing: Vec::new(),
        spare: None,
        is_opening: false,
        no_spare: false,
        server,
        env,
        is_shunned: server.is_for_one,
        owing: None,
        opening_since: None,
        // The channel on which the login shell was checked.
        closed_last: Some(now),
        try_again_at: None,
        scratch: vec![0; CHUNK],
    };
    let mut clock = Clock { heard: now, asked: now, used: now };
    let (mut has_hung_up, mut was_idle) = (false, true);
    let why = loop {
        channels.accept(shared.take_jobs());
        let now = Instant::now();
        if let Err(refusal) = channels.go_on(now) {
            break refusal.to_string();
        }
        if raw_session.overhead() > SPARE_OVERHEAD + OVERHEAD_PER_BYTE * raw_session.delivered() {
            break String::from("the guest sends what nobody asked for");
        }
        channels.give_up_on_answers(now);
        if channels.is_idle() {
            let is_over = shared.is_retired() || now >= clock.used + channels.idle_limit();
            if is_over {
                if shared.close_idle() {
                    break String::from("it was not used any more");
                }
                // A permit is held, but its job has not arrived yet.
                clock.used = now;
            }
        } else {
            if was_idle {
                // No command listened before.
                (clock.heard, clock.asked) = (now, now);
            }
            clock.used = now;
        }
        was_idle = channels.is_idle();
        let can_pump = channels.can_pump();
        if has_hung_up && channels.is_idle() {
            break String::from("the guest closed it");
        }
        if !can_pump {
            clock.heard = now;
        }
        let silent = now.saturating_duration_since(clock.heard);
        let interval = shared.config.keepalive;
        if !channels.is_idle() && silent >= interval * SILENT_INTERVALS {
            break format!("the guest was silent for {} s", silent.as_secs());
        }
        let is_keepalive_due = !channels.is_idle() && silent >= interval && now >= clock.asked + interval;

        let mut flags = if can_pump { PollFlags::IN } else { PollFlags::empty() };
        if !has_hung_up {
            flags |= PollFlags::RDHUP;
        }
        if is_keepalive_due || !raw_session.outbox().is_empty() {
            flags |= PollFlags::OUT;
        }
        let timeout = channels.timeout(&clock, now, is_keepalive_due);
        let ready = wait(&channels, shared, socket.as_fd(), (flags, has_hung_up && !can_pump), timeout);
        if ready.intersects(PollFlags::IN) {
            clock.heard = Instant::now();
        }
        has_hung_up |= ready.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR);
        if raw_session.outbox().flush().is_err() {
            break String::from("it takes no more bytes");
        }
        // If others wait, a guest that accepts them needs no keepalive.
        if is_keepalive_due && raw_session.outbox().is_empty() {
            clock.asked = Instant::now();
            if raw_session.session().keepalive_send().is_err() {
                break String::from("it takes no more bytes");
            }
        }
    };
    tracing::debug!(target: "rt_krun", why, "an SSH connection ends");
    shared.ends();
    channels.lose();
    // Closes politely if that does not block, then for good, so that freeing the session has
    // nothing left to send. If freeing reads, it should find the end of the socket: without that,
    // libssh2 may answer "again" and free nothing.
    let _ = raw_session.session().disconnect(None, "done", None);
    let _ = socket.shutdown(Shutdown::Both);
    raw_session.inbox().begin_turn();
}

/// The times of events.
struct Clock {
    /// When the guest last sent something, or when the first command began to listen.
    heard: Instant,
    /// When the last keepalive was sent.
    asked: Instant,
    /// When there was last a command.
    used: Instant,
}

/// The channels of one connection.
struct Channels<'a> {
    raw_session: Rc<RawSession>,
    shared: &'a SharedSession,
    /// Jobs that have no channel yet.
    waiting: VecDeque<Job>,
    commands: Vec<Command>,
    closing: Vec<Channel>,
    /// The channel that was opened ahead.
    spare: Option<Channel>,
    /// An open is on its way. The call must be repeated until it is done.
    is_opening: bool,
    /// The guest refused a channel. Until one is closed, another attempt is useless.
    no_spare: bool,
    server: Server,
    /// The variables of the container, below those of each command.
    env: Env,
    /// The guest closes unused channels, so none is opened ahead.
    is_shunned: bool,
    /// The request that has no answer yet, and since when.
    owing: Option<(u64, Instant)>,
    /// When the opening of a channel began.
    opening_since: Option<Instant>,
    /// When a channel was last closed.
    closed_last: Option<Instant>,
    /// When to try again after a refused channel.
    try_again_at: Option<Instant>,
    scratch: Vec<u8>,
}

impl Channels<'_> {
    /// Takes new jobs.
    fn accept(&mut self, jobs: VecDeque<Job>) {
        for job in jobs {
            if self.server.is_for_one && matches!(job.output, JobOutput::Agent(_)) {
                job.guard.end(JobEnd::NoAgent("its SSH server runs one command at a time"));
            } else {
                self.waiting.push_back(job);
            }
        }
    }

    /// Does everything that can be done with what has arrived. The inbox limits how much arrives in
    /// a turn, so that a guest that never falls silent does not keep a command from being ended.
    fn go_on(&mut self, now: Instant) -> Result<(), Refusal> {
        self.raw_session.inbox().begin_turn();
        // A call that found its own data may have left more in libssh2's buffer. The first call of
        // the next pass takes it from there without a new byte on the socket. So two quiet passes
        // in a row are needed.
        let mut quiet = 0;
        while quiet < 2 {
            let before = self.raw_session.inbox().count();
            let mut moved = self.open(now)?;
            moved |= self.dispatch(now)?;
            moved |= self.advance(now)?;
            self.pump()?;
            moved |= self.close(now);
            let is_quiet = !moved && self.raw_session.inbox().count() == before;
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Opens the channel that is needed, or the next one ahead.
    fn open(&mut self, now: Instant) -> Result<bool, Refusal> {
        self.waiting.retain(|job| !job.guard.is_left());
        if self.server.is_for_one && !self.commands.is_empty() {
            for job in self.waiting.drain(..) {
                job.guard.end(JobEnd::NotStarted(NotStarted::Full));
            }
        }
        self.try_again_at = self.try_again_at.filter(|at| *at > now && !self.waiting.is_empty());
        if !self.is_opening && (self.try_again_at.is_some() || !self.wants_channel()) {
            return Ok(false);
        }
        self.is_opening = true;
        let opened = match Channel::open(&self.raw_session) {
            Poll::Pending => return Ok(false),
            Poll::Ready(opened) => opened,
        };
        self.is_opening = false;
        match opened {
            Ok(channel) => self.spare = Some(channel),
            Err(refusal) if refusal.is_of_channel() => self.refused(&refusal, now),
            Err(refusal) => return Err(refusal),
        }
        Ok(true)
    }

    fn wants_channel(&self) -> bool {
        let in_use = self.commands.len() + self.closing.len();
        if self.server.is_for_one && in_use > 0 {
            return false;
        }
        let ahead = !self.no_spare && !self.is_shunned && in_use < MOST_CHANNELS - 1;
        self.spare.is_none() && (!self.waiting.is_empty() || ahead)
    }

    /// The guest accepts no more channels. Waiting jobs go to another connection, or get an error.
    fn refused(&mut self, refusal: &Refusal, now: Instant) {
        self.no_spare = true;
        let in_use = self.commands.len() + self.closing.len();
        if in_use == 0 && self.closed_last.is_some_and(|closed| now < closed + COUNTED_LIMIT) {
            self.try_again_at = Some(now + TRY_AGAIN);
            return;
        }
        if in_use > 0 && !self.waiting.is_empty() {
            // The channel of an agent has no permit.
            let agents = self.commands.iter().filter(|command| command.is_agent()).count();
            self.shared.limit_permits(in_use - agents);
        }
        for job in self.waiting.drain(..) {
            let end = if in_use > 0 {
                NotStarted::Full
            } else {
                let error = Error::new(
                    ErrorKind::BackendFailed,
                    "exec in",
                    format!("the guest's sshd refuses a channel: {refusal}"),
                );
                NotStarted::Refused(error.with_hint("see MaxSessions in its configuration"))
            };
            job.guard.end(JobEnd::NotStarted(end));
        }
    }

    /// Gives the channel to the next command, once it can send its request, and sends it: before
    /// the requests of others, since a guest may not answer those.
    fn dispatch(&mut self, now: Instant) -> Result<bool, Refusal> {
        if self.raw_session.awaits_answer() {
            return Ok(false);
        }
        // The guest may have closed it meanwhile.
        self.pump()?;
        let Some(channel) = self.spare.take() else { return Ok(false) };
        while let Some(job) = self.waiting.pop_front() {
            if job.guard.begin() {
                self.commands.push(Command::new(
                    job,
                    channel,
                    &self.env,
                    &self.shared.waker,
                    self.shared.config.keepalive,
                ));
                self.advance_at(self.commands.len() - 1, now)?;
                return Ok(true);
            }
            job.guard.end(JobEnd::NotStarted(NotStarted::Left));
        }
        self.spare = Some(channel);
        Ok(false)
    }

    fn advance(&mut self, now: Instant) -> Result<bool, Refusal> {
        let mut moved = false;
        let mut place = 0;
        while place < self.commands.len() {
            let before = self.commands.len();
            moved |= self.advance_at(place, now)?;
            // Another one takes the place of one that is over.
            place += usize::from(self.commands.len() == before);
        }
        Ok(moved)
    }

    /// Returns whether the command at this place moved.
    fn advance_at(&mut self, place: usize, now: Instant) -> Result<bool, Refusal> {
        match self.commands[place].advance(now, &mut self.scratch) {
            Progress::None => Ok(false),
            Progress::Some => Ok(true),
            Progress::Over => {
                let command = self.commands.swap_remove(place);
                if command.is_agent() {
                    self.shared.agent_ended();
                }
                self.closing.push(command.into_channel());
                Ok(true)
            }
            Progress::Dead(refusal) => Err(refusal),
        }
    }

    /// Reads what has arrived, if no command does.
    fn pump(&mut self) -> Result<(), Refusal> {
        let Some(spare) = &mut self.spare else { return Ok(()) };
        match spare.read(OutputStream::Stdout, &mut self.scratch) {
            Poll::Ready(Err(refusal)) if !refusal.is_of_channel() => return Err(refusal),
            // If the guest closes it or sends on it, it is closed.
            Poll::Ready(_) => {
                self.closing.extend(self.spare.take());
                self.is_shunned = true;
            }
            Poll::Pending => {}
        }
        Ok(())
    }

    /// Closes channels that can be closed. Returns whether there was one.
    fn close(&mut self, now: Instant) -> bool {
        let before = self.closing.len();
        self.closing = std::mem::take(&mut self.closing)
            .into_iter()
            .filter_map(|channel| channel.free().err())
            .collect();
        let moved = self.closing.len() != before;
        self.no_spare &= !moved;
        if moved {
            self.closed_last = Some(now);
        }
        moved
    }

    /// Limits the effect of a silent guest to one command. While a channel awaits an answer for
    /// long, no other channel can send a request. So waiting jobs go to another connection, and no
    /// new ones come. A command that never gets an answer ends, even if its guest keeps sending
    /// other data.
    fn give_up_on_answers(&mut self, now: Instant) {
        let question = self.raw_session.awaits_answer().then(|| self.raw_session.questions.get());
        self.owing = question.map(|number| match self.owing {
            Some((known, since)) if known == number => (known, since),
            _ => (number, now),
        });
        self.opening_since = self.is_opening.then(|| self.opening_since.unwrap_or(now));
        let is_late = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        let owing_since = self.owing.map(|(_, since)| since);
        let is_silent = is_late(owing_since, ANSWER_LIMIT);
        let is_dead_weight = is_silent && self.closing.iter().any(Channel::is_asked);
        let is_in_the_way = is_silent || is_late(self.opening_since, ANSWER_LIMIT);
        if is_dead_weight || (is_in_the_way && !self.waiting.is_empty()) {
            self.shared.retire();
            for job in self.waiting.drain(..) {
                job.guard.end(JobEnd::NotStarted(NotStarted::Full));
            }
        }
        if is_late(owing_since, self.unanswered_limit())
            && let Some(place) = self.commands.iter().position(Command::is_asked)
        {
            tracing::debug!(target: "rt_krun", "a guest does not answer for a command");
            self.shared.retire();
            let mut command = self.commands.swap_remove(place);
            command.give_up();
            self.closing.push(command.into_channel());
        }
    }

    /// Returns how long a command waits for an answer, which is the limit for any message of its
    /// guest.
    fn unanswered_limit(&self) -> Duration {
        self.shared.config.keepalive * SILENT_INTERVALS
    }

    /// Returns whether there is no command, apart from agents that wait for some.
    fn is_idle(&self) -> bool {
        self.commands.iter().all(Command::is_idle) && self.waiting.is_empty()
    }

    /// Returns how long the connection is kept without a command. A command for an agent holds no
    /// permit on its way here.
    fn idle_limit(&self) -> Duration {
        let least = if self.commands.is_empty() { Duration::ZERO } else { LEAST_IDLE };
        self.shared.config.idle.max(least)
    }

    /// Returns whether anything that is done here reads the socket.
    fn can_pump(&self) -> bool {
        self.spare.is_some()
            || self.is_opening
            || !self.closing.is_empty()
            || self.commands.iter().any(Command::can_read)
    }

    /// Returns how long there is nothing to do without an event.
    fn timeout(&self, clock: &Clock, now: Instant, is_keepalive_due: bool) -> Duration {
        let config = &self.shared.config;
        let next = if self.is_idle() {
            clock.used + self.idle_limit()
        } else {
            let asking = clock.heard.max(clock.asked) + config.keepalive;
            let end = clock.heard + config.keepalive * SILENT_INTERVALS;
            // An overdue one waits for the socket.
            if is_keepalive_due { end } else { asking.min(end) }
        };
        let drains = self.commands.iter().filter_map(Command::wake_at);
        let owing_since = self.owing.map(|(_, since)| since);
        let limits = [
            owing_since.map(|since| since + ANSWER_LIMIT),
            self.opening_since.map(|since| since + ANSWER_LIMIT),
            owing_since.map(|since| since + self.unanswered_limit()),
        ];
        drains
            .chain([next])
            // Those in the past have had their effect.
            .chain(limits.into_iter().flatten().filter(|limit| *limit > now))
            .chain(self.try_again_at)
            .min()
            .unwrap_or(next)
            .saturating_duration_since(now)
    }

    /// Ends the connection and tells all jobs.
    fn lose(&mut self) {
        self.commands.drain(..).for_each(Command::lose);
        // Their guards report that they never ran.
        self.waiting.clear();
    }
}

/// Waits for the socket, the waker and the commands' pipes. Returns what the socket is ready for.
fn wait(
    channels: &Channels<'_>,
    shared: &SharedSession,
    socket: BorrowedFd<'_>,
    (flags, skip_socket): (PollFlags, bool),
    timeout: Duration,
) -> PollFlags {
    let mut fds = vec![PollFd::new(&shared.waker, PollFlags::IN)];
    if !skip_socket {
        fds.push(PollFd::from_borrowed_fd(socket, flags));
    }
    for command in &channels.commands {
        command.interests(&mut |fd, flags| fds.push(PollFd::from_borrowed_fd(fd, flags)));
    }
    // Rounds up: with a deadline in a fraction of a millisecond, the loop would otherwise spin.
    let timeout = Timespec::try_from(timeout).ok();
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => {
            if !fds[0].revents().is_empty() {
                shared.waker.drain();
            }
            if skip_socket { PollFlags::empty() } else { fds[1].revents() }
        }
        Err(Errno::INTR) => PollFlags::empty(),
        Err(error) => {
            // Only happens if the kernel is out of memory.
            tracing::warn!(target: "rt_krun", %error, "poll failed");
            std::thread::sleep(
                Duration::from_millis(10).min(timeout.and_then(|it| it.try_into().ok()).unwrap_or_default()),
            );
            PollFlags::empty()
        }
    }
}
