//! The one poll loop: it moves the bytes of a process, notices its exit, and keeps the clock. It decides nothing about
//! ending a process; that is `process`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rt_protocol::OutputStream;
use rustix::event::PollFlags;

use super::output_pump::Outlet;
use super::poll_set::{Interests, Tag};
use super::stdin_pump::Inlet;
use super::waker::Waker;
use crate::child::Leader;

/// How often a process without a pidfd is looked at.
const EXIT_LOOK: Duration = Duration::from_millis(10);

/// A process and its streams.
#[derive(Debug)]
pub(crate) struct Pump<'a> {
    /// `None` once somebody else has taken it over.
    pub(crate) leader: Option<Leader>,
    pub(crate) inlet: Inlet<'a>,
    /// stdout and stderr.
    pub(crate) outlets: [Outlet<'a>; 2],
    pub(crate) waker: Waker,
    /// What streams of the caller failed with, and was not reported yet.
    pub(crate) failures: VecDeque<Failure>,
    /// Outputs are read to their end, whoever holds them open.
    patient: bool,
    /// The streams were told of the exit.
    exit_told: bool,
    last_look: Instant,
}

/// A stream of the caller that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Source(io::Error),
    Sink(OutputStream, io::Error),
}

impl<'a> Pump<'a> {
    pub(crate) fn new(leader: Leader, inlet: Inlet<'a>, outlets: [Outlet<'a>; 2], waker: Waker) -> Self {
        let now = Instant::now();
        let failures = VecDeque::new();
        let leader = Some(leader);
        Self { leader, inlet, outlets, waker, failures, patient: false, exit_told: false, last_look: now }
    }

    /// Streams without a process: the far ends of their pipes are somebody else's, who closes them.
    pub(crate) fn elsewhere(inlet: Inlet<'a>, outlets: [Outlet<'a>; 2], waker: Waker) -> Self {
        Self {
            leader: None,
            inlet,
            outlets,
            waker,
            failures: VecDeque::new(),
            patient: true,
            exit_told: true,
            last_look: Instant::now(),
        }
    }

    /// Reads both outputs to their end, without the bounded drain.
    pub(crate) fn patiently(mut self) -> Self {
        self.patient = true;
        self
    }

    /// Whether the process was seen to exit, or is somebody else's.
    pub(crate) fn has_ended(&self) -> bool {
        self.leader.as_ref().is_none_or(Leader::exited)
    }

    /// Looks whether the process has exited, without waiting.
    pub(crate) fn look(&mut self) -> bool {
        self.leader.as_mut().is_none_or(Leader::look)
    }

    /// Whether the process has exited and all its output is handed on.
    pub(crate) fn is_complete(&self) -> bool {
        self.has_ended() && self.outlets.iter().all(Outlet::is_done)
    }

    /// Whether bytes of a process that has exited can be taken without waiting.
    pub(crate) fn owes(&self) -> bool {
        self.outlets.iter().any(Outlet::owes)
    }

    /// Waits until something can be done, at most for `timeout` (`None`: for ever), and does it. Whether bytes moved or
    /// a stream ended. May return early with nothing done.
    pub(crate) fn turn(&mut self, timeout: Option<Duration>) -> bool {
        self.turn_beside(timeout, None).0
    }

    /// As [`turn`](Self::turn), and returns also when `beside` is readable, which it then says in second place.
    pub(crate) fn turn_beside(
        &mut self,
        timeout: Option<Duration>,
        beside: Option<BorrowedFd<'_>>,
    ) -> (bool, bool) {
        let start = self.pass_time();
        self.tell_exit(start);
        let ready = self.wait(self.timeout(timeout, start), beside.as_ref());
        if ready.is(Tag::Waker) {
            self.waker.hush();
        }
        let now = self.pass_time();
        if ready.is(Tag::Leader) || self.is_blind() {
            self.look();
            self.tell_exit(now);
        }

        let mut progress = false;
        match self.inlet.advance(&ready) {
            Ok(moved) => progress |= moved,
            Err(error) => self.failures.push_back(Failure::Source(error)),
        }
        for (outlet, stream) in self.outlets.iter_mut().zip([OutputStream::Stdout, OutputStream::Stderr]) {
            // Only what was overdue before it was tried once more, and still is, is left: the end of a stream may have
            // stood behind its last bytes.
            let overdue = outlet.is_overdue(now);
            match outlet.advance(&ready, now) {
                Ok(moved) => progress |= moved,
                Err(error) => self.failures.push_back(Failure::Sink(stream, error)),
            }
            if overdue && outlet.is_overdue(now) {
                outlet.leave();
            }
        }
        (progress, ready.is(Tag::Beside))
    }

    /// Leaves outputs that somebody else holds open, once the process has ended.
    pub(crate) fn leave_outputs(&mut self) {
        if self.has_ended() {
            self.outlets.iter_mut().for_each(Outlet::leave);
        }
    }

    /// Closes all streams, wherever they are.
    pub(crate) fn stop_streams(&mut self) {
        self.inlet.stop();
        self.outlets.iter_mut().for_each(Outlet::stop);
    }

    fn wait(&self, timeout: Option<Duration>, beside: Option<&BorrowedFd<'_>>) -> super::poll_set::Ready {
        let mut interests = Interests::default();
        interests.add(Tag::Waker, &self.waker, PollFlags::IN);
        if let Some(beside) = beside {
            interests.add(Tag::Beside, beside, PollFlags::IN);
        }
        let pidfd = self.leader.as_ref().filter(|leader| !leader.exited()).and_then(Leader::pidfd);
        if let Some(pidfd) = &pidfd {
            interests.add(Tag::Leader, pidfd, PollFlags::IN);
        }
        self.inlet.interests(&mut interests);
        for outlet in &self.outlets {
            outlet.interests(&mut interests);
        }
        interests.wait(timeout)
    }

    /// The caller's timeout, or less: until a drain ends, or until a look at a process that cannot be polled.
    fn timeout(&self, timeout: Option<Duration>, now: Instant) -> Option<Duration> {
        let drains =
            self.outlets.iter().filter_map(Outlet::wake_at).map(|end| end.saturating_duration_since(now));
        timeout.into_iter().chain(drains).chain(self.is_blind().then_some(EXIT_LOOK)).min()
    }

    /// A running process whose exit poll does not show.
    fn is_blind(&self) -> bool {
        self.leader.as_ref().is_some_and(|leader| !leader.exited() && leader.pidfd().is_none())
    }

    fn tell_exit(&mut self, now: Instant) {
        if self.exit_told || !self.has_ended() {
            return;
        }
        self.exit_told = true;
        self.inlet.reader_gone();
        if !self.patient {
            self.outlets.iter_mut().for_each(|outlet| outlet.leader_exited(now));
        }
    }

    fn pass_time(&mut self) -> Instant {
        let now = Instant::now();
        let time = now.duration_since(self.last_look);
        self.last_look = now;
        self.outlets.iter_mut().for_each(|outlet| outlet.pass(time));
        now
    }
}

#[cfg(test)]
mod tests {
    use rt_protocol::{OutputLimit, Source};

    use super::*;
    use crate::io::output_target::Way;
    use crate::{ExitStatus, ProcessSpec, Program, spawn};

    #[test]
    fn an_exit_is_noticed_without_a_pidfd() {
        let waker = Waker::new().unwrap();
        let spec =
            ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", "echo hello; sleep 0.03; exit 3"]);
        let mut spawned = spawn::spawn(&spec, false).unwrap();
        spawned.leader.forget_pidfd();
        let inlet = Inlet::new(Source::empty(), &waker).unwrap();
        let copy = || Some(rt_protocol::Capture::new(OutputLimit::UNLIMITED));
        let mut outlets = [OutputStream::Stdout, OutputStream::Stderr]
            .map(|stream| Outlet::new(stream, Way::Nowhere, copy()));
        outlets[0].attach(spawned.stdout);
        outlets[1].attach(spawned.stderr);
        let mut pump = Pump::new(spawned.leader, inlet, outlets, waker);
        while !pump.is_complete() {
            pump.turn(None);
        }
        assert_eq!(pump.outlets[0].take_copy(), "hello\n");
        assert_eq!(pump.leader.unwrap().reap(), Some(ExitStatus::Code(3)));
    }
}
