//! The started process as the leader of its group: its exit, signals to the group, reaping.
//!
//! One rule protects unrelated processes from signals: until the leader is reaped, its number
//! belongs to its group and cannot be given to another process. So the leader is reaped last, and
//! no signal is sent after that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rt_protocol::Until;
use rt_protocol::sync::{Waker, lock};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::io::poll_set::{PollSet, Token};
use crate::{ExitStatus, procfs};

/// How often a process without a pidfd is checked.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A started process, for any number of holders and threads. Dropping it does nothing: an unreaped
/// process stays a zombie.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    pid: Pid,
    pidfd: Option<OwnedFd>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How many calls are ending the group now: the leader is not reaped before the last of them
    /// has returned.
    terminations: u32,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// A zombie, whose number is still its own.
    Exited(Option<ExitStatus>),
    /// Its number may belong to another process.
    Reaped(Option<ExitStatus>),
}

impl ChildProcess {
    pub(crate) fn new(pid: Pid) -> Self {
        let state = Mutex::new(State { phase: Phase::Running, terminations: 0 });
        Self { pid, pidfd: open_pidfd(pid), state }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Returns a descriptor that becomes and stays readable when the process exits. `None` if the
    /// system has none: then the caller must [check](Self::exit_poll_interval) from time to time.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Returns how often to check for the exit; `None` if a descriptor shows it.
    pub(crate) fn exit_poll_interval(&self) -> Option<Duration> {
        self.pidfd.is_none().then_some(EXIT_POLL_INTERVAL)
    }

    /// Returns whether it has exited, without reaping it.
    pub(crate) fn has_exited(&self) -> bool {
        self.look().phase != Phase::Running
    }

    /// Returns its exit status once it has exited. It is reaped then, unless a call is ending its
    /// group.
    ///
    /// # Errors
    /// ECHILD: it has exited, and its status is lost.
    pub(crate) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        let mut state = self.look();
        let status = match state.phase {
            Phase::Running => return Ok(None),
            Phase::Exited(status) if state.terminations == 0 => {
                reap(self.pid);
                state.phase = Phase::Reaped(status);
                let shown = status.map(tracing::field::display);
                tracing::debug!(target: "rt_process", pid = self.pid(), status = shown, "process ended");
                status
            }
            Phase::Exited(status) | Phase::Reaped(status) => status,
        };
        status.map(Some).ok_or_else(|| Errno::CHILD.into())
    }

    /// Waits for its exit and returns the same as [`try_wait`](Self::try_wait); `Ok(None)` if
    /// `until` ends first.
    pub(crate) fn wait(&self, until: &Until) -> io::Result<Option<ExitStatus>> {
        let waker = until.cancel_token().map(|_| Waker::new()).transpose()?;
        let _registration = waker.as_ref().and_then(|waker| waker.wake_on_cancel(until));
        loop {
            let is_over = until.check().is_err();
            let status = self.try_wait()?;
            if status.is_some() || is_over {
                return Ok(status);
            }
            self.poll(true, until.remaining(), waker.as_ref());
        }
    }

    /// Waits until it exits, the waker is woken or the timeout has passed; may return early.
    /// `is_running` is what the caller last saw. If the caller saw it run, the pidfd wakes the
    /// caller, even if the process has exited and was reaped since.
    pub(crate) fn poll(&self, is_running: bool, timeout: Option<Duration>, waker: Option<&Waker>) {
        let mut poll_set = PollSet::default();
        // It stays readable.
        let pidfd = self.pidfd().filter(|_| is_running);
        if let Some(pidfd) = &pidfd {
            poll_set.add(Token::Child, pidfd, PollFlags::IN);
        }
        if let Some(waker) = waker {
            poll_set.add(Token::Waker, waker, PollFlags::IN);
        }
        let look = self.exit_poll_interval().filter(|_| is_running);
        poll_set.wait(timeout.into_iter().chain(look).min());
    }

    /// Signals every process of the group, unless the leader was reaped.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let state = self.look();
        if matches!(state.phase, Phase::Reaped(_)) {
            return;
        }
        let sent = match kill_process_group(self.pid, signal) {
            // It has left its own group. It is unreaped, so its number is still its own.
            Err(Errno::SRCH) => kill_process(self.pid, signal),
            other => other,
        };
        if let Err(error) = sent {
            tracing::warn!(target: "rt_process", pid = self.pid(), %error, "the process group cannot be signalled");
        }
    }

    /// Returns whether a member of the group other than the leader is alive; true if that cannot be
    /// found out.
    pub(crate) fn group_is_alive(&self) -> bool {
        let leader = self.pid();
        !matches!(lock(&self.state).phase, Phase::Reaped(_))
            && procfs::snapshot().map_or(true, |entries| {
                entries.iter().any(|entry| entry.group == leader && entry.pid != leader && !entry.is_zombie)
            })
    }

    /// Keeps it unreaped until the guard is dropped, so that its group can be signalled.
    pub(crate) fn keep_unreaped(&self) -> KeptUnreaped<'_> {
        lock(&self.state).terminations += 1;
        KeptUnreaped(self)
    }

    /// A process without a pidfd, as on a system that has none.
    #[cfg(test)]
    pub(crate) fn without_pidfd(pid: u32) -> Self {
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        Self { pidfd: None, ..Self::new(pid) }
    }

    fn look(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        if state.phase == Phase::Running {
            // An error means that it is no longer our child: SIGCHLD is ignored in this program, or
            // another part of the program waits for any child. Its status is lost.
            state.phase = wait_without_reaping(self.pid).unwrap_or(Phase::Reaped(None));
        }
        state
    }
}

/// Keeps a process unreaped while it lives.
#[derive(Debug)]
pub(crate) struct KeptUnreaped<'a>(&'a ChildProcess);

impl Drop for KeptUnreaped<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).terminations -= 1;
    }
}

/// `Err` if it is not our child, or no longer.
fn wait_without_reaping(pid: Pid) -> Result<Phase, Errno> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(pid), look) {
            Err(Errno::INTR) => {}
            Ok(None) => return Ok(Phase::Running),
            Ok(Some(status)) => return Ok(Phase::Exited(ExitStatus::from_waitid(&status))),
            Err(error) => return Err(error),
        }
    }
}

/// It has exited, so this does not wait.
fn reap(pid: Pid) {
    let reap = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while matches!(waitid(WaitId::Pid(pid), reap), Err(Errno::INTR)) {}
}

/// The number is the child's, because it is not reaped yet. A kernel or a sandbox without pidfds
/// returns an error.
#[cfg(target_os = "linux")]
fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_pidfd(_pid: Pid) -> Option<OwnedFd> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{Child, ChildStdio, ProcessSpec, Program};

    #[test]
    fn an_exit_that_another_thread_saw_first_still_wakes() {
        let spec = ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", "exit 3"]);
        let child = Child::spawn(&spec, ChildStdio::null()).unwrap();
        assert_eq!(child.wait(&Until::forever()).unwrap(), Some(ExitStatus::Code(3)));
        // Behaves as a thread that was told before that the process runs.
        let begun = Instant::now();
        child.process.poll(true, Some(Duration::from_secs(20)), None);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
