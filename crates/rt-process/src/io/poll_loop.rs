//! The one poll loop. It moves the bytes of a process, notices its exit, and keeps the clock.
//! `process` decides how a process ends.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rt_protocol::sync::Waker;
use rt_protocol::{Interruption, OutputStream};
use rustix::event::PollFlags;

use super::drain::{DRAIN_IDLE, DRAIN_TOTAL};
use super::output_pump::OutputPump;
use super::poll_set::{PollSet, Token};
use super::stdin_pump::StdinPump;
use crate::Child;

/// How often it is asked whether a thread has taken its job. The kernel gives no notice.
const THREAD_STEP: Duration = Duration::from_millis(5);

/// A process and its streams.
#[derive(Debug)]
pub(crate) struct PollLoop<'a> {
    /// `None` once it was detached.
    pub(crate) child: Option<Child>,
    /// Neither the process nor the remote command behind these streams was seen to exit yet.
    is_running: bool,
    pub(crate) stdin: StdinPump<'a>,
    /// stdout and stderr.
    pub(crate) outputs: [OutputPump<'a>; 2],
    pub(crate) waker: Waker,
    /// Failures of the caller's streams that were not reported yet.
    pub(crate) failures: VecDeque<Interruption>,
    /// Outputs are read to their end, whichever process holds them open.
    reads_to_eof: bool,
    /// The streams were notified of the exit.
    exit_notified: bool,
    last_advance: Instant,
}

impl<'a> PollLoop<'a> {
    pub(crate) fn new(
        child: Child,
        stdin: StdinPump<'a>,
        outputs: [OutputPump<'a>; 2],
        waker: Waker,
    ) -> Self {
        let streams = Self::without_process(stdin, outputs, waker);
        Self { child: Some(child), is_running: true, reads_to_eof: false, exit_notified: false, ..streams }
    }

    /// Creates a loop for streams without a process. The peer closes the other ends of their pipes.
    pub(crate) fn without_process(stdin: StdinPump<'a>, outputs: [OutputPump<'a>; 2], waker: Waker) -> Self {
        Self {
            child: None,
            is_running: false,
            stdin,
            outputs,
            waker,
            failures: VecDeque::new(),
            reads_to_eof: true,
            exit_notified: true,
            last_advance: Instant::now(),
        }
    }

    /// Sets whether the remote command behind these streams still runs. After its exit the outputs
    /// are read as those of a process, for a bounded time.
    pub(crate) fn set_remote_runs(&mut self, runs: bool) {
        // Also for a command that exited before the first look.
        if self.reads_to_eof {
            (self.reads_to_eof, self.exit_notified) = (false, false);
        }
        self.is_running = runs;
    }

    /// Reads both outputs to their end, without the bounded drain.
    pub(crate) fn until_eof(mut self) -> Self {
        self.reads_to_eof = true;
        self
    }

    /// Returns whether the process was seen to exit, or was detached.
    pub(crate) fn has_ended(&self) -> bool {
        !self.is_running
    }

    /// Checks whether the process has exited, without waiting.
    pub(crate) fn poll_exit(&mut self) -> bool {
        self.is_running &= !self.child.as_ref().is_some_and(Child::has_exited);
        self.has_ended()
    }

    /// Returns the process; from then on its new owner notices the exit.
    pub(crate) fn take_child(&mut self) -> Option<Child> {
        self.is_running = false;
        self.child.take()
    }

    /// Returns whether the process has exited and all its output was handed on.
    pub(crate) fn is_complete(&self) -> bool {
        self.has_ended() && self.outputs.iter().all(OutputPump::is_done)
    }

    /// Returns whether an exited process has bytes that can be read without waiting.
    pub(crate) fn has_pending(&self) -> bool {
        self.outputs.iter().any(OutputPump::has_pending)
    }

    /// Waits until something can be done, at most for `timeout` (`None`: forever), and does it.
    /// Returns whether bytes moved or a stream ended. May return early with nothing done.
    pub(crate) fn poll_once(&mut self, timeout: Option<Duration>) -> bool {
        self.poll_once_with(timeout, None).0
    }

    /// Does the same as [`poll_once`](Self::poll_once), and also returns when `source` is ready.
    /// The second value says whether it is.
    pub(crate) fn poll_once_with(
        &mut self,
        timeout: Option<Duration>,
        source: Option<(BorrowedFd<'_>, PollFlags)>,
    ) -> (bool, bool) {
        let start = self.advance_clock();
        self.notify_exit(start);
        let ready = self.wait(self.timeout(timeout, start), source.as_ref());
        if ready.is(Token::Waker) {
            self.waker.drain();
        }
        let now = self.advance_clock();
        if ready.is(Token::Child) || self.exit_poll_interval().is_some() {
            self.poll_exit();
            self.notify_exit(now);
        }

        let mut progress = false;
        match self.stdin.advance(&ready) {
            Ok(moved) => progress |= moved,
            Err(error) => self.failures.push_back(Interruption::SourceFailed(error)),
        }
        for (output, stream) in self.outputs.iter_mut().zip([OutputStream::Stdout, OutputStream::Stderr]) {
            // Only an output that was overdue before this attempt, and still is, is abandoned: the
            // end of a stream may follow its last bytes.
            let overdue = output.is_overdue(now);
            match output.advance(&ready, now) {
                Ok(moved) => progress |= moved,
                Err(error) => self.failures.push_back(Interruption::SinkFailed(stream, error)),
            }
            if overdue
                && output.is_overdue(now)
                && let Err(error) = output.abandon()
            {
                self.failures.push_back(Interruption::SinkFailed(stream, error));
            }
        }
        (progress, ready.is(Token::PollSource))
    }

    /// Holds back bytes for the process's stdin, or releases them.
    pub(crate) fn hold_stdin(&mut self, is_held: bool) {
        if self.stdin.hold(is_held) {
            // Bytes that a thread read meanwhile have already woken the loop, and must be taken
            // now.
            self.waker.wake();
        }
    }

    /// Abandons outputs that another process holds open, once the process has ended. What their
    /// sinks get at the end of an output is handed on, as long as they accept it.
    pub(crate) fn abandon_outputs(&mut self) {
        if !self.has_ended() {
            return;
        }
        for (output, stream) in self.outputs.iter_mut().zip([OutputStream::Stdout, OutputStream::Stderr]) {
            if let Err(error) = output.abandon() {
                self.failures.push_back(Interruption::SinkFailed(stream, error));
            }
        }
        // The time of the sink begins when its thread has the bytes.
        let (start, mut taken) = (Instant::now(), Instant::now());
        while self.outputs.iter().any(OutputPump::is_closing)
            && let Some(left) = DRAIN_IDLE.checked_sub(taken.elapsed()).filter(|left| !left.is_zero())
        {
            if start.elapsed() < DRAIN_TOTAL && self.outputs.iter().any(OutputPump::waits_for_thread) {
                taken = Instant::now();
                self.poll_once(Some(THREAD_STEP));
            } else {
                self.poll_once(Some(left));
            }
        }
    }

    /// Hands on what the pipes of an ended process contain, as long as the sinks accept it.
    /// Failures of the caller's streams are not reported here.
    pub(crate) fn drain(&mut self) {
        let start = Instant::now();
        let mut last = start;
        while !self.is_complete() && start.elapsed() < DRAIN_TOTAL {
            let Some(left) = DRAIN_IDLE.checked_sub(last.elapsed()).filter(|left| !left.is_zero()) else {
                break;
            };
            if self.poll_once(Some(left)) {
                last = Instant::now();
            }
        }
        self.failures.clear();
    }

    /// Closes all streams, in whatever state they are.
    pub(crate) fn stop_streams(&mut self) {
        self.stdin.stop();
        self.outputs.iter_mut().for_each(OutputPump::stop);
    }

    fn wait(
        &self,
        timeout: Option<Duration>,
        source: Option<&(BorrowedFd<'_>, PollFlags)>,
    ) -> super::poll_set::Ready {
        let mut poll_set = PollSet::default();
        poll_set.add(Token::Waker, &self.waker, PollFlags::IN);
        if let Some((source, flags)) = source {
            poll_set.add(Token::PollSource, source, *flags);
        }
        let pidfd = self.running_child().and_then(Child::pidfd);
        if let Some(pidfd) = &pidfd {
            poll_set.add(Token::Child, pidfd, PollFlags::IN);
        }
        self.stdin.register(&mut poll_set);
        for output in &self.outputs {
            output.register(&mut poll_set);
        }
        poll_set.wait(timeout)
    }

    /// Returns the caller's timeout, or less: until a drain ends, or until the exit of a process
    /// without a pidfd is checked again.
    fn timeout(&self, timeout: Option<Duration>, now: Instant) -> Option<Duration> {
        let drains =
            self.outputs.iter().filter_map(OutputPump::wake_at).map(|end| end.saturating_duration_since(now));
        timeout.into_iter().chain(drains).chain(self.exit_poll_interval()).min()
    }

    /// Returns how often to check a running process whose exit poll(2) does not show.
    fn exit_poll_interval(&self) -> Option<Duration> {
        self.running_child()?.process.exit_poll_interval()
    }

    fn running_child(&self) -> Option<&Child> {
        self.child.as_ref().filter(|_| self.is_running)
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
    use std::sync::Arc;

    use rt_protocol::{OutputLimit, Source};

    use super::*;
    use crate::child::child_process::ChildProcess;
    use crate::io::fd::nonblocking;
    use crate::io::output_target::OutputTarget;
    use crate::{ChildStdio, ExitStatus, ProcessSpec, Program};

    #[test]
    fn an_exit_is_noticed_without_a_pidfd() {
        let waker = Waker::new().unwrap();
        let spec =
            ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", "echo hello; sleep 0.03; exit 3"]);
        let mut child = Child::spawn(&spec, ChildStdio::piped()).unwrap();
        child.process = Arc::new(ChildProcess::without_pidfd(child.pid()));
        let stdin = StdinPump::new(Source::empty(), &waker).unwrap();
        let copy = || Some(rt_protocol::Capture::new(OutputLimit::UNLIMITED));
        let mut outputs = [OutputStream::Stdout, OutputStream::Stderr]
            .map(|stream| OutputPump::new(stream, OutputTarget::Discard, copy()));
        outputs[0].attach(child.stdout.take().map(|pipe| nonblocking(pipe).unwrap()));
        outputs[1].attach(child.stderr.take().map(|pipe| nonblocking(pipe).unwrap()));
        let mut poll_loop = PollLoop::new(child, stdin, outputs, waker);
        while !poll_loop.is_complete() {
            poll_loop.poll_once(None);
        }
        assert_eq!(poll_loop.outputs[0].take_copy(), "hello\n");
        assert_eq!(poll_loop.child.unwrap().try_wait().unwrap(), Some(ExitStatus::Code(3)));
    }
}
