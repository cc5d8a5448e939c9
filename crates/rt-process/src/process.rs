//! A running process in the caller's hands: driving it, ending it, and what is left of it afterwards.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rt_protocol::sync::Waker;
use rt_protocol::{Interruption, KILL_GRACE, OutputStream, Until};
use rustix::event::PollFlags;

use crate::child::terminate;
use crate::io::detached;
use crate::io::fd::nonblocking;
use crate::io::output_factory::OutputFactory;
use crate::io::output_pump::OutputPump;
use crate::io::poll_loop::PollLoop;
use crate::io::stdin_pump::StdinPump;
use crate::{Child, ChildStdio, Finished, ProcessError, ProcessSpec, Streams};

/// Runs `body` with a started process.
///
/// When `body` returns or panics, a process that still runs is ended as by [`Process::end`] with 2 s of grace, and a
/// warning is logged; one that has exited is reaped and nothing else is signalled. So `body` decides how a process ends,
/// and cannot forget it. Only a process that was [detached](Process::detach) goes on.
///
/// Writers that `streams` borrows are served by threads that end before this returns: a borrowed writer that is stuck in
/// its `write` delays the return, but neither [`Process::drive`] nor [`Process::end`].
///
/// # Errors
/// - [`NotFound`](ProcessError::NotFound), [`NotExecutable`](ProcessError::NotExecutable),
///   [`TooLong`](ProcessError::TooLong), [`WorkingDirectory`](ProcessError::WorkingDirectory),
///   [`Spawn`](ProcessError::Spawn), [`SigchldIgnored`](ProcessError::SigchldIgnored): it was not started.
/// - [`UnsupportedFd`](ProcessError::UnsupportedFd): a caller's descriptor is a message-oriented socket;
///   nothing was started.
/// - [`System`](ProcessError::System): a pipe, a thread, or a look at a caller's descriptor was refused; nothing was
///   started.
pub fn with_process<T>(
    spec: &ProcessSpec,
    streams: Streams<'_>,
    body: impl FnOnce(&mut Process<'_>) -> T,
) -> Result<T, ProcessError> {
    let refused = |source| ProcessError::from_stream_setup("prepare the streams of a process", source);
    let waker = Waker::new().map_err(refused)?;
    thread::scope(|scope| {
        let mut outputs = OutputFactory::new(&waker, scope);
        let stdout = outputs.open(OutputStream::Stdout, streams.stdout).map_err(refused)?;
        let stderr = outputs.open(OutputStream::Stderr, streams.stderr).map_err(refused)?;
        let stdin = StdinPump::new(streams.stdin, &waker).map_err(refused)?;
        let mut process = Process::start(spec, stdin, [stdout, stderr], waker)?;
        let answer = body(&mut process);
        drop(process);
        outputs.join();
        Ok(answer)
    })
}

/// A started process.
///
/// Bytes move only inside [`drive`](Self::drive) and [`end`](Self::end), on the calling thread: a caller who does
/// neither holds the process back by the capacity of its pipes.
pub struct Process<'a> {
    pid: u32,
    started: Instant,
    pub(crate) poll_loop: PollLoop<'a>,
}

/// Something that a caller watches while it drives a process, see [`Process::drive_with`].
pub trait PollSource {
    /// What becomes readable when there is something to do; `None` when there is nothing to watch (any more).
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Does it. Must not block, and must take what made the descriptor readable. The outputs that were there before were
    /// taken as far as the caller's sinks allowed. Called once more when the exit of the process is noticed, however long
    /// its outputs take from there.
    fn ready(&mut self, process: &Process<'_>);

    /// For how long at most nothing is to go into the process's stdin yet, its end included; asked again after whatever
    /// happens. What is left unread of the source stays there. `None`, as it is without this, lets it go.
    fn holds_stdin(&self) -> Option<Duration> {
        None
    }
}

impl<'a> Process<'a> {
    pub(crate) fn start(
        spec: &ProcessSpec,
        mut stdin: StdinPump<'a>,
        mut outputs: [OutputPump<'a>; 2],
        waker: Waker,
    ) -> Result<Self, ProcessError> {
        let mut pipes = ChildStdio::piped();
        if !stdin.wants_pipe() {
            pipes.stdin = Stdio::null();
        }
        let mut child = Child::spawn(spec, pipes)?;
        let refused = |source| ProcessError::System { what: "prepare a pipe", source };
        stdin.attach(child.stdin.take().map(nonblocking).transpose().map_err(refused)?);
        outputs[0].attach(child.stdout.take().map(nonblocking).transpose().map_err(refused)?);
        outputs[1].attach(child.stderr.take().map(nonblocking).transpose().map_err(refused)?);
        let pid = child.pid();
        Ok(Self { pid, started: Instant::now(), poll_loop: PollLoop::new(child, stdin, outputs, waker) })
    }

    /// Its number, which is also that of its process group. After the process was reaped it may be another's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Moves bytes until the process has finished, `until` is over, or a stream of the caller has failed. May be called
    /// again afterwards: it goes on where it stood.
    ///
    /// When the process has exited and only somebody else holds its outputs open, the end of `until` is no reason to
    /// call it stopped: all that it said is there, and it has finished.
    ///
    /// # Errors
    /// What stopped it. A stream of the caller that fails is said once. The process still runs.
    pub fn drive(&mut self, until: &Until) -> Result<(), Interruption> {
        self.drive_loop(until, None)
    }

    /// As [`drive`](Self::drive), with an eye on something else: whenever its descriptor is readable, it is called.
    ///
    /// # Errors
    /// As for [`drive`](Self::drive).
    pub fn drive_with(&mut self, until: &Until, source: &mut dyn PollSource) -> Result<(), Interruption> {
        self.drive_loop(until, Some(source))
    }

    fn drive_loop(
        &mut self,
        until: &Until,
        mut source: Option<&mut dyn PollSource>,
    ) -> Result<(), Interruption> {
        let _registration = self.poll_loop.waker.wake_on_cancel(until);
        loop {
            if let Some(failure) = self.poll_loop.failures.pop_front() {
                return Err(failure);
            }
            if self.poll_loop.is_complete() {
                return Ok(());
            }
            let Err(stop) = until.check() else {
                let descriptor = source.as_ref().and_then(|source| source.descriptor());
                let descriptor = descriptor.map(|descriptor| (descriptor, PollFlags::IN));
                let held = source.as_ref().and_then(|source| source.holds_stdin());
                self.poll_loop.hold_stdin(held.is_some());
                let timeout = until.remaining().into_iter().chain(held).min();
                let was_running = !self.poll_loop.has_ended();
                let (_, is_ready) = self.poll_loop.poll_once_with(timeout, descriptor);
                if (is_ready || was_running && self.poll_loop.has_ended())
                    && let Some(source) = &mut source
                {
                    source.ready(self);
                }
                continue;
            };
            // One pass also after the end, for the bytes that have come already. Bytes of a process that has exited can
            // all be taken without waiting, and then once more, for the ends of the streams.
            let owed = self.poll_loop.has_pending();
            self.poll_loop.poll_once(Some(Duration::ZERO));
            if owed || self.poll_loop.has_pending() {
                continue;
            }
            self.poll_loop.abandon_outputs();
            if self.poll_loop.failures.is_empty() && !self.poll_loop.is_complete() {
                return Err(stop.into());
            }
        }
    }

    /// Ends the process group: TERM, up to `grace` while bytes go on moving, KILL; then reaps.
    ///
    /// The group has ended when nobody in it is alive, the leader or others; only then is the rest of `grace` given up.
    /// A process that has exited before is reaped, and what it left behind is not signalled. What was written until the
    /// end is still handed on, as long as the sinks take it; a sink that takes nothing for 100 ms is given up.
    ///
    /// Returns after at most `grace` and 2 s more. In the rare case that the process survives KILL for 1 s (it hangs
    /// in the kernel), it is left to a thread of its own that reaps it, and there is no status.
    ///
    /// Twice is fine. No signal is ever sent after the process was reaped.
    pub fn end(&mut self, grace: Duration) {
        let Some(child) = &self.poll_loop.child else { return };
        let process = Arc::clone(&child.process);
        let poll_loop = &mut self.poll_loop;
        let pass = |_, timeout| {
            poll_loop.poll_once(timeout);
        };
        if terminate::end(&process, grace, pass) {
            self.poll_loop.drain();
            self.finish_streams();
            let _ = process.try_wait();
        } else {
            tracing::warn!(target: "rt_process", pid = self.pid, "the process survives KILL, a thread waits for it");
            self.detach();
        }
    }

    /// Whether the process itself has exited. Says nothing about its output, and false for one that was detached.
    pub fn has_exited(&self) -> bool {
        self.poll_loop.child.as_ref().is_some_and(Child::has_exited)
    }

    /// How many bytes it has written to its outputs so far. The caller's sinks may not have taken all of them yet.
    pub fn output_bytes(&self) -> u64 {
        self.poll_loop.outputs.iter().map(OutputPump::written).sum()
    }

    /// Grows the pipe of each of its outputs to this many bytes, or as many of them as the system grants
    /// (`pipe(7)`), instead of the usual 64 KiB: so far the process runs ahead of the caller's sinks.
    pub fn grow_output_pipes(&self, bytes: usize) {
        self.poll_loop.outputs.iter().for_each(|output| output.grow_pipe(bytes));
    }

    /// Whether it may be waiting in a write because a sink of the caller does not keep up. Said in doubt, too.
    pub fn may_be_blocked_on_output(&self) -> bool {
        self.poll_loop.outputs.iter().any(OutputPump::may_be_full)
    }

    /// Takes what was captured and counted so far. The streams are closed then, and the process is reaped if it has
    /// exited; one that still runs goes on running, and meets closed pipes. To be called after
    /// [`drive`](Self::drive) has come to the end, or [`end`](Self::end).
    pub fn finish(&mut self) -> Finished {
        self.finish_streams();
        let [stdout, stderr] = &mut self.poll_loop.outputs;
        Finished {
            pid: Some(self.pid),
            status: self.poll_loop.child.as_ref().and_then(|child| child.try_wait().ok().flatten()),
            stdin: self.poll_loop.stdin.report(),
            stdout: stdout.report(),
            stderr: stderr.report(),
            stdout_capture: stdout.take_copy(),
            stderr_capture: stderr.take_copy(),
            elapsed: self.started.elapsed(),
        }
    }

    /// Leaves the process to finish by itself. One whose source has failed is better [ended](Self::end): it sees the end
    /// of its stdin now.
    ///
    /// Its stdin is closed and the caller's streams are let go. A thread, which lives as long as anybody holds one of
    /// the process's outputs open, reads and drops these, so that nobody blocks on a full pipe, and reaps the process
    /// when it exits. Afterwards [`drive`](Self::drive) is at its end at once, and there is no status.
    pub fn detach(&mut self) {
        self.poll_loop.stdin.stop();
        let pipes = self.poll_loop.outputs.each_mut().map(OutputPump::detach);
        if let Some(child) = self.poll_loop.take_child() {
            detached::adopt(child, pipes, self.poll_loop.waker.clone());
        }
    }

    fn finish_streams(&mut self) {
        self.poll_loop.poll_exit();
        self.poll_loop.stop_streams();
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        let Some(child) = &self.poll_loop.child else { return };
        if !child.has_exited() {
            tracing::warn!(target: "rt_process", pid = self.pid, "the handle of a running process is dropped, it is ended");
            self.end(KILL_GRACE);
        }
        self.finish_streams();
    }
}

/// Streams and arguments are left out: they may hold anything.
impl fmt::Debug for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid).finish_non_exhaustive()
    }
}
