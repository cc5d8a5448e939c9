//! The one poll loop: it moves the bytes of a process, notices its exit, and keeps the clock. It decides nothing about
//! ending a process; that is `process`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rt_protocol::OutputStream;
use rustix::event::PollFlags;

use super::output_pump::OutputPump;
use super::poll_set::{PollSet, Token};
use super::stdin_pump::StdinPump;
use super::waker::Waker;
use crate::child::child_process::ChildProcess;

/// How often a process without a pidfd is looked at.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A process and its streams.
#[derive(Debug)]
pub(crate) struct PollLoop<'a> {
    /// `None` once somebody else has taken it over.
    pub(crate) child: Option<ChildProcess>,
    pub(crate) stdin: StdinPump<'a>,
    /// stdout and stderr.
    pub(crate) outputs: [OutputPump<'a>; 2],
    pub(crate) waker: Waker,
    /// What streams of the caller failed with, and was not reported yet.
    pub(crate) failures: VecDeque<Failure>,
    /// Outputs are read to their end, whoever holds them open.
    reads_to_eof: bool,
    /// The streams were told of the exit.
    exit_notified: bool,
    last_advance: Instant,
}

/// A stream of the caller that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Source(io::Error),
    Sink(OutputStream, io::Error),
}

impl<'a> PollLoop<'a> {
    pub(crate) fn new(
        child: ChildProcess,
        stdin: StdinPump<'a>,
        outputs: [OutputPump<'a>; 2],
        waker: Waker,
    ) -> Self {
        let now = Instant::now();
        let failures = VecDeque::new();
        let child = Some(child);
        Self {
            child,
            stdin,
            outputs,
            waker,
            failures,
            reads_to_eof: false,
            exit_notified: false,
            last_advance: now,
        }
    }

    /// Streams without a process: the far ends of their pipes are somebody else's, who closes them.
    pub(crate) fn without_process(stdin: StdinPump<'a>, outputs: [OutputPump<'a>; 2], waker: Waker) -> Self {
        Self {
            child: None,
            stdin,
            outputs,
            waker,
            failures: VecDeque::new(),
            reads_to_eof: true,
            exit_notified: true,
            last_advance: Instant::now(),
        }
    }

    /// Reads both outputs to their end, without the bounded drain.
    pub(crate) fn until_eof(mut self) -> Self {
        self.reads_to_eof = true;
        self
    }

    /// Whether the process was seen to exit, or is somebody else's.
    pub(crate) fn has_ended(&self) -> bool {
        self.child.as_ref().is_none_or(ChildProcess::exited)
    }

    /// Looks whether the process has exited, without waiting.
    pub(crate) fn poll_exit(&mut self) -> bool {
        self.child.as_mut().is_none_or(ChildProcess::poll_exit)
    }

    /// Whether the process has exited and all its output is handed on.
    pub(crate) fn is_complete(&self) -> bool {
        self.has_ended() && self.outputs.iter().all(OutputPump::is_done)
    }

    /// Whether bytes of a process that has exited can be taken without waiting.
    pub(crate) fn has_pending(&self) -> bool {
        self.outputs.iter().any(OutputPump::has_pending)
    }

    /// Waits until something can be done, at most for `timeout` (`None`: for ever), and does it. Whether bytes moved or
    /// a stream ended. May return early with nothing done.
    pub(crate) fn poll_once(&mut self, timeout: Option<Duration>) -> bool {
        self.poll_once_with(timeout, None).0
    }

    /// As [`poll_once`](Self::poll_once), and returns also when `source` is readable, which it then says in second place.
    pub(crate) fn poll_once_with(
        &mut self,
        timeout: Option<Duration>,
        source: Option<BorrowedFd<'_>>,
    ) -> (bool, bool) {
        let start = self.advance_clock();
        self.notify_exit(start);
        let ready = self.wait(self.timeout(timeout, start), source.as_ref());
        if ready.is(Token::Waker) {
            self.waker.drain();
        }
        let now = self.advance_clock();
        if ready.is(Token::Child) || self.needs_exit_polling() {
            self.poll_exit();
            self.notify_exit(now);
        }

        let mut progress = false;
        match self.stdin.advance(&ready) {
            Ok(moved) => progress |= moved,
            Err(error) => self.failures.push_back(Failure::Source(error)),
        }
        for (output, stream) in self.outputs.iter_mut().zip([OutputStream::Stdout, OutputStream::Stderr]) {
            // Only what was overdue before it was tried once more, and still is, is left: the end of a stream may have
            // stood behind its last bytes.
            let overdue = output.is_overdue(now);
            match output.advance(&ready, now) {
                Ok(moved) => progress |= moved,
                Err(error) => self.failures.push_back(Failure::Sink(stream, error)),
            }
            if overdue && output.is_overdue(now) {
                output.abandon();
            }
        }
        (progress, ready.is(Token::PollSource))
    }

    /// Holds back what is to go into the process's stdin, or lets it go.
    pub(crate) fn hold_stdin(&mut self, is_held: bool) {
        if self.stdin.hold(is_held) {
            // What a thread has read meanwhile woke the loop before, and is to be taken now.
            self.waker.wake();
        }
    }

    /// Leaves outputs that somebody else holds open, once the process has ended.
    pub(crate) fn abandon_outputs(&mut self) {
        if self.has_ended() {
            self.outputs.iter_mut().for_each(OutputPump::abandon);
        }
    }

    /// Closes all streams, wherever they are.
    pub(crate) fn stop_streams(&mut self) {
        self.stdin.stop();
        self.outputs.iter_mut().for_each(OutputPump::stop);
    }

    fn wait(&self, timeout: Option<Duration>, source: Option<&BorrowedFd<'_>>) -> super::poll_set::Ready {
        let mut poll_set = PollSet::default();
        poll_set.add(Token::Waker, &self.waker, PollFlags::IN);
        if let Some(source) = source {
            poll_set.add(Token::PollSource, source, PollFlags::IN);
        }
        let pidfd = self.child.as_ref().filter(|child| !child.exited()).and_then(ChildProcess::pidfd);
        if let Some(pidfd) = &pidfd {
            poll_set.add(Token::Child, pidfd, PollFlags::IN);
        }
        self.stdin.register(&mut poll_set);
        for output in &self.outputs {
            output.register(&mut poll_set);
        }
        poll_set.wait(timeout)
    }

    /// The caller's timeout, or less: until a drain ends, or until the exit of a process without a pidfd is checked again.
    fn timeout(&self, timeout: Option<Duration>, now: Instant) -> Option<Duration> {
        let drains =
            self.outputs.iter().filter_map(OutputPump::wake_at).map(|end| end.saturating_duration_since(now));
        timeout.into_iter().chain(drains).chain(self.needs_exit_polling().then_some(EXIT_POLL_INTERVAL)).min()
    }

    /// A running process whose exit poll does not show.
    fn needs_exit_polling(&self) -> bool {
        self.child.as_ref().is_some_and(|child| !child.exited() && child.pidfd().is_none())
    }

    fn notify_exit(&mut self, now: Instant) {
        if self.exit_notified || !self.has_ended() {
            return;
        }
        self.exit_notified = true;
        self.stdin.reader_gone();
        if !self.reads_to_eof {
            self.outputs.iter_mut().for_each(|output| output.process_exited(now));
        }
    }

    fn advance_clock(&mut self) -> Instant {
        let now = Instant::now();
        let time = now.duration_since(self.last_advance);
        self.last_advance = now;
        self.outputs.iter_mut().for_each(|output| output.advance_clock(time));
        now
    }
}

#[cfg(test)]
mod tests {
    use rt_protocol::{OutputLimit, Source};

    use super::*;
    use crate::io::output_target::OutputTarget;
    use crate::{ExitStatus, ProcessSpec, Program, spawn};

    #[test]
    fn an_exit_is_noticed_without_a_pidfd() {
        let waker = Waker::new().unwrap();
        let spec =
            ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", "echo hello; sleep 0.03; exit 3"]);
        let mut spawned = spawn::spawn(&spec, false).unwrap();
        spawned.child.forget_pidfd();
        let stdin = StdinPump::new(Source::empty(), &waker).unwrap();
        let copy = || Some(rt_protocol::Capture::new(OutputLimit::UNLIMITED));
        let mut outputs = [OutputStream::Stdout, OutputStream::Stderr]
            .map(|stream| OutputPump::new(stream, OutputTarget::Discard, copy()));
        outputs[0].attach(spawned.stdout);
        outputs[1].attach(spawned.stderr);
        let mut poll_loop = PollLoop::new(spawned.child, stdin, outputs, waker);
        while !poll_loop.is_complete() {
            poll_loop.poll_once(None);
        }
        assert_eq!(poll_loop.outputs[0].take_copy(), "hello\n");
        assert_eq!(poll_loop.child.unwrap().reap(), Some(ExitStatus::Code(3)));
    }
}
