//! A running process that the caller drives: its bytes, its end, and its result.

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_protocol::sync::Waker;
use rt_protocol::{Interruption, KILL_GRACE, Until};
use rustix::event::PollFlags;

use crate::child::{stdin_terminal, terminate};
use crate::io::detached;
use crate::io::fd::nonblocking;
use crate::io::output_factory::with_pumps;
use crate::io::output_pump::OutputPump;
use crate::io::poll_loop::PollLoop;
use crate::io::stdin_pump::StdinPump;
use crate::{Child, ChildStdio, Finished, ProcessError, ProcessSpec, Streams};

/// Runs `body` with a started process.
///
/// When `body` returns or panics, a process that still runs is ended as by [`Process::end`] with 2
/// s of grace, and a warning is logged. If it has exited, it is reaped and nothing is signalled. So
/// `body` decides how a process ends, and cannot forget to end it. Only a process that was
/// [detached](Process::detach) continues.
///
/// Threads that serve writers borrowed by `streams` end before this returns. A borrowed writer that
/// blocks in its `write` delays the return, but neither [`Process::drive`] nor [`Process::end`].
///
/// # Errors
/// - [`NotFound`](ProcessError::NotFound), [`NotExecutable`](ProcessError::NotExecutable),
///   [`TooLong`](ProcessError::TooLong), [`WorkingDirectory`](ProcessError::WorkingDirectory),
///   [`Spawn`](ProcessError::Spawn), [`SigchldIgnored`](ProcessError::SigchldIgnored): it was not
///   started.
/// - [`UnsupportedFd`](ProcessError::UnsupportedFd): a descriptor of the caller is a
///   message-oriented socket; nothing was started.
/// - [`System`](ProcessError::System): a pipe or a thread cannot be created, or a descriptor of the
///   caller cannot be examined; nothing was started.
pub fn with_process<T>(
    spec: &ProcessSpec,
    streams: Streams<'_>,
    body: impl FnOnce(&mut Process<'_>) -> T,
) -> Result<T, ProcessError> {
    let refused = |source| ProcessError::from_stream_setup("prepare the streams of a process", source);
    with_pumps(streams, refused, |stdin, outputs, waker| {
        Ok(body(&mut Process::start(spec, stdin, outputs, waker)?))
    })
}

/// A started process.
///
/// Bytes move only inside [`drive`](Self::drive) and [`end`](Self::end), on the calling thread.
/// Otherwise the process is held back once its pipes are full.
pub struct Process<'a> {
    pid: u32,
    started: Instant,
    /// Our end of the terminal that is its stdin. Closing it would hang up.
    _terminal: Option<OwnedFd>,
    pub(crate) poll_loop: PollLoop<'a>,
}

/// A descriptor that the caller watches while it drives a process, see [`Process::drive_with`].
pub trait PollSource {
    /// Returns the descriptor that becomes readable when [`ready`](Self::ready) should be called;
    /// `None` if there is nothing (more) to watch.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Handles the readiness. Must not block, and must consume what made the descriptor readable.
    /// Output that came before was read, as far as the caller's sinks allowed. It is called once
    /// more when the exit of the process is noticed, however long its outputs take after that.
    fn ready(&mut self, process: &Process<'_>);

    /// Returns for how long at most nothing goes into the process's stdin, its end included. It is
    /// asked again after every event. Unread bytes stay in the source. `None`, the default,
    /// releases stdin.
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
        let mut master = None;
        if let Some(size) = spec.terminal_size() {
            let refused = |source| ProcessError::System { what: "open a pseudo terminal", source };
            let (ours, theirs) = stdin_terminal::open(size).map_err(refused)?;
            pipes.stdin = theirs.into();
            master = Some(ours);
        }
        let mut child = Child::spawn(spec, pipes)?;
        let refused = |source| ProcessError::System { what: "prepare a pipe", source };
        stdin.attach(child.stdin.take().map(nonblocking).transpose().map_err(refused)?);
        if let Some(master) = master.as_ref().filter(|_| stdin.wants_pipe()) {
            stdin.attach_terminal(master.try_clone().and_then(nonblocking).map_err(refused)?);
        }
        outputs[0].attach(child.stdout.take().map(nonblocking).transpose().map_err(refused)?);
        outputs[1].attach(child.stderr.take().map(nonblocking).transpose().map_err(refused)?);
        let pid = child.pid();
        Ok(Self {
            pid,
            started: Instant::now(),
            _terminal: master,
            poll_loop: PollLoop::new(child, stdin, outputs, waker),
        })
    }

    /// Returns its process id, which is also that of its process group. After the process was
    /// reaped, another process may have this id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Moves bytes until the process has finished, `until` has ended, or a stream of the caller has
    /// failed. It can be called again afterwards and continues.
    ///
    /// If the process itself has exited and only another process holds its outputs open, the end of
    /// `until` is not an interruption: all its output is there, and it has finished.
    ///
    /// # Errors
    /// What interrupted it. A failed stream of the caller is reported once. The process still runs.
    pub fn drive(&mut self, until: &Until) -> Result<(), Interruption> {
        self.drive_loop(until, None)
    }

    /// Does the same as [`drive`](Self::drive), and also calls `source` whenever its descriptor is
    /// readable.
    ///
    /// # Errors
    /// The same as [`drive`](Self::drive).
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
            // One pass even after the deadline, for bytes that have already come. If the process
            // has exited, all its bytes can be read without waiting; one more pass finds the ends
            // of the streams.
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

    /// Ends the process group: TERM, up to `grace` while bytes still move, KILL. Then reaps the
    /// process.
    ///
    /// The group has ended once neither the leader nor another member is alive; only then is the
    /// rest of `grace` skipped. If the process exited before, it is reaped and what it left behind
    /// is not signalled. Output up to the end is still handed on, as long as the sinks accept it. A
    /// sink that accepts nothing for 100 ms is given up.
    ///
    /// Returns after at most `grace` and 2 s more. In the rare case that the process survives KILL
    /// for 1 s (it hangs in the kernel), a thread of its own reaps it later, and there is no
    /// status.
    ///
    /// A second call has no effect. No signal is sent after the process was reaped.
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

    /// Returns whether the process itself has exited. It says nothing about its output. False for a
    /// detached process.
    pub fn has_exited(&self) -> bool {
        self.poll_loop.child.as_ref().is_some_and(Child::has_exited)
    }

    /// Returns how many bytes it has written to its outputs so far. The caller's sinks may not have
    /// accepted all of them yet.
    pub fn output_bytes(&self) -> u64 {
        self.poll_loop.outputs.iter().map(OutputPump::written).sum()
    }

    /// Enlarges the pipe of each of its outputs to this many bytes, or as many as the system grants
    /// (`pipe(7)`). The default is 64 KiB. The process can run ahead of the caller's sinks by this
    /// much.
    pub fn grow_output_pipes(&self, bytes: usize) {
        self.poll_loop.outputs.iter().for_each(|output| output.grow_pipe(bytes));
    }

    /// Returns whether it may be blocked in a write because a sink of the caller is slow. True if
    /// in doubt.
    pub fn may_be_blocked_on_output(&self) -> bool {
        self.poll_loop.outputs.iter().any(OutputPump::may_be_full)
    }

    /// Returns what was captured and counted so far. The streams are closed, and the process is
    /// reaped if it has exited. A process that still runs continues with closed pipes. Call it
    /// after [`drive`](Self::drive) has finished, or after [`end`](Self::end).
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

    /// Lets the process finish by itself. A process whose source has failed should be
    /// [ended](Self::end) instead, because it would now see the end of its stdin.
    ///
    /// Its stdin is closed and the caller's streams are dropped. A thread reads and discards its
    /// outputs as long as any process holds them open, so that none blocks on a full pipe. The
    /// thread also reaps the process when it exits. Afterwards [`drive`](Self::drive) returns at
    /// once, and there is no status.
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

/// Omits streams and arguments, which may contain anything.
impl fmt::Debug for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid).finish_non_exhaustive()
    }
}
