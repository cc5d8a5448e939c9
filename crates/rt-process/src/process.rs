//! A running process in the caller's hands: driving it, ending it, and what is left of it afterwards.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::thread;
use std::time::{Duration, Instant};

use rt_protocol::{CapturedOutput, KILL_GRACE, OutputStream, Stop, StreamReport, Until};

use crate::child::Leader;
use crate::child::{reaper, terminate};
use crate::io::output_pump::Outlet;
use crate::io::output_target::Outlets;
use crate::io::poll_loop::{Failure, Pump};
use crate::io::stdin_pump::Inlet;
use crate::io::waker::Waker;
use crate::spawn::secret_file::SecretFile;
use crate::{ExitStatus, ProcessError, ProcessSpec, Streams, spawn};

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
/// - [`UnfitDescriptor`](ProcessError::UnfitDescriptor): a caller's descriptor is a socket that keeps messages apart;
///   nothing was started.
/// - [`System`](ProcessError::System): a pipe, a thread, or a look at a caller's descriptor was refused; nothing was
///   started.
pub fn with_process<T>(
    spec: &ProcessSpec,
    streams: Streams<'_>,
    body: impl FnOnce(&mut Process<'_>) -> T,
) -> Result<T, ProcessError> {
    let refused = |source| ProcessError::of_streams("prepare the streams of a process", source);
    let waker = Waker::new().map_err(refused)?;
    thread::scope(|scope| {
        let mut outlets = Outlets::new(&waker, scope);
        let stdout = outlets.open(OutputStream::Stdout, streams.stdout).map_err(refused)?;
        let stderr = outlets.open(OutputStream::Stderr, streams.stderr).map_err(refused)?;
        let inlet = Inlet::new(streams.stdin, &waker).map_err(refused)?;
        let mut process = Process::start(spec, inlet, [stdout, stderr], waker)?;
        let answer = body(&mut process);
        drop(process);
        outlets.join();
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
    pub(crate) pump: Pump<'a>,
    /// Open until the process has opened it.
    _secret_file: Option<SecretFile>,
}

/// Something that a caller watches while it drives a process, see [`Process::drive_beside`].
pub trait Beside {
    /// What becomes readable when there is something to do; `None` when there is nothing to watch (any more).
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Does it. Must not block, and must take what made the descriptor readable. The outputs that were there before were
    /// taken as far as the caller's sinks allowed.
    fn ready(&mut self, process: &Process<'_>);
}

/// Why [`Process::drive`] returned.
#[derive(Debug)]
#[must_use = "a process that was stopped or whose streams failed still runs"]
pub enum Drive {
    /// The process has exited, and all its output was handed on, or left after a bounded wait.
    Finished,
    /// The caller's limit is over. The process still runs, or its sink still holds bytes back.
    Stopped(Stop),
    /// The caller's source failed; said once. The process still runs. Its stdin is held open and silent until it is
    /// ended, so that it never takes half of its input for the whole.
    SourceFailed(io::Error),
    /// The caller's sink failed; said once. The process still runs; what comes on that stream from now on is dropped.
    SinkFailed(OutputStream, io::Error),
}

/// What is left of a process.
///
/// The default is that of a process that was never started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Finished {
    /// Its number; it may be another process's by now. `None` when nothing was started.
    pub pid: Option<u32>,
    /// How it ended. `None` when it still runs, was detached, or its status was lost, because this program waits
    /// for children that are not its own.
    pub status: Option<ExitStatus>,
    /// What went into its stdin.
    pub stdin: StreamReport,
    /// What came out of its stdout.
    pub stdout: StreamReport,
    /// What came out of its stderr.
    pub stderr: StreamReport,
    /// What was kept of its stdout.
    pub stdout_capture: CapturedOutput,
    /// What was kept of its stderr.
    pub stderr_capture: CapturedOutput,
    /// From its start to this answer.
    pub elapsed: Duration,
}

impl<'a> Process<'a> {
    pub(crate) fn start(
        spec: &ProcessSpec,
        mut inlet: Inlet<'a>,
        mut outlets: [Outlet<'a>; 2],
        waker: Waker,
    ) -> Result<Self, ProcessError> {
        let spawned = spawn::spawn(spec, inlet.wants_pipe())?;
        inlet.attach(spawned.stdin);
        outlets[0].attach(spawned.stdout);
        outlets[1].attach(spawned.stderr);
        let pid = spawned.leader.pid();
        let pump = Pump::new(spawned.leader, inlet, outlets, waker);
        Ok(Self { pid, started: Instant::now(), pump, _secret_file: spawned.secret_file })
    }

    /// Its number, which is also that of its process group. After the process was reaped it may be another's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Moves bytes until the process has finished, `until` is over, or a stream of the caller has failed. May be called
    /// again afterwards: it goes on where it stood.
    ///
    /// When the process has exited and only somebody else holds its outputs open, the end of `until` is no reason to
    /// call it stopped: all that it said is there, and the answer is [`Finished`](Drive::Finished).
    pub fn drive(&mut self, until: &Until) -> Drive {
        self.drive_with(until, None)
    }

    /// As [`drive`](Self::drive), with an eye on something else: whenever its descriptor is readable, it is called.
    pub fn drive_beside(&mut self, until: &Until, beside: &mut dyn Beside) -> Drive {
        self.drive_with(until, Some(beside))
    }

    fn drive_with(&mut self, until: &Until, mut beside: Option<&mut dyn Beside>) -> Drive {
        let _registration = self.pump.waker.ring_on_cancel(until);
        loop {
            if let Some(failure) = self.pump.failures.pop_front() {
                return failure.into();
            }
            if self.pump.is_complete() {
                return Drive::Finished;
            }
            let Err(stop) = until.check() else {
                let descriptor = beside.as_ref().and_then(|beside| beside.descriptor());
                let (_, is_ready) = self.pump.turn_beside(until.remaining(), descriptor);
                if is_ready && let Some(beside) = &mut beside {
                    beside.ready(self);
                }
                continue;
            };
            // One turn also after the end: what is there to be taken is taken. Bytes of a process that has exited can
            // all be taken without waiting, and then once more, for the ends of the streams.
            let owed = self.pump.owes();
            self.pump.turn(Some(Duration::ZERO));
            if owed || self.pump.owes() {
                continue;
            }
            self.pump.leave_outputs();
            if self.pump.failures.is_empty() && !self.pump.is_complete() {
                return Drive::Stopped(stop);
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
        if terminate::end(&mut self.pump, grace) {
            self.finish_streams();
        } else {
            tracing::warn!(target: "rt_process", pid = self.pid, "the process survives KILL, a thread waits for it");
            self.detach();
        }
    }

    /// Whether the process itself has exited. Says nothing about its output, and false for one that was detached.
    pub fn has_exited(&self) -> bool {
        self.pump.leader.as_ref().is_some_and(Leader::has_exited)
    }

    /// How many bytes of its outputs were taken so far.
    pub fn output_bytes(&self) -> u64 {
        self.pump.outlets.iter().map(|outlet| outlet.report().bytes).sum()
    }

    /// Whether bytes that it wrote have not been taken yet.
    pub fn has_unread_output(&self) -> bool {
        self.pump.outlets.iter().any(Outlet::has_unread)
    }

    /// Takes what was captured and counted so far. The streams are closed then, and the process is reaped if it has
    /// exited; one that still runs goes on running, and meets closed pipes. To be called after
    /// [`Drive::Finished`] or [`end`](Self::end).
    pub fn finish(&mut self) -> Finished {
        self.finish_streams();
        let [stdout, stderr] = &mut self.pump.outlets;
        Finished {
            pid: Some(self.pid),
            status: self.pump.leader.as_mut().and_then(Leader::reap),
            stdin: self.pump.inlet.report(),
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
    /// when it exits. Afterwards [`drive`](Self::drive) answers [`Drive::Finished`] at once, and there is no status.
    pub fn detach(&mut self) {
        self.pump.inlet.stop();
        let pipes = self.pump.outlets.each_mut().map(Outlet::detach);
        if let Some(leader) = self.pump.leader.take() {
            reaper::adopt(leader, pipes, self.pump.waker.clone());
        }
    }

    fn finish_streams(&mut self) {
        self.pump.look();
        self.pump.stop_streams();
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        let Some(leader) = &self.pump.leader else { return };
        if !leader.has_exited() {
            tracing::warn!(target: "rt_process", pid = self.pid, "the handle of a running process is dropped, it is ended");
            self.end(KILL_GRACE);
        }
        self.finish_streams();
        if let Some(leader) = &mut self.pump.leader {
            leader.reap();
        }
    }
}

/// Streams and arguments are left out: they may hold anything.
impl fmt::Debug for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl From<Failure> for Drive {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Source(error) => Self::SourceFailed(error),
            Failure::Sink(stream, error) => Self::SinkFailed(stream, error),
        }
    }
}
