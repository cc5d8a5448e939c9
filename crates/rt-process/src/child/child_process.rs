//! The process that was started, as the leader of its group: whether it has exited, signals to the group, reaping.
//!
//! One rule keeps every signal from reaching a stranger: as long as the leader is not reaped, its number belongs to its
//! group and to nobody else. So the leader is reaped last, and no signal is sent after that.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::{ExitStatus, procfs};

/// A started process. Dropping it does nothing: an unreaped one stays a zombie.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    child: Child,
    pidfd: Option<OwnedFd>,
    exited: bool,
    reaped: bool,
    status: Option<ExitStatus>,
}

impl ChildProcess {
    pub(crate) fn new(child: Child) -> Self {
        let pidfd = open_pidfd(Pid::from_child(&child));
        Self { child, pidfd, exited: false, reaped: false, status: None }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when the process exits. `None` where there is no such descriptor: then one has to
    /// [poll](Self::poll_exit) from time to time.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Whether its exit was noticed.
    pub(crate) fn exited(&self) -> bool {
        self.exited
    }

    /// Looks whether it has exited, and leaves it unreaped.
    pub(crate) fn has_exited(&self) -> bool {
        self.exited || !matches!(wait_without_reaping(self.group()), Ok(false))
    }

    /// Looks whether it has exited, and notices it.
    pub(crate) fn poll_exit(&mut self) -> bool {
        if !self.exited {
            if let Ok(exited) = wait_without_reaping(self.group()) {
                self.exited = exited;
            } else {
                // It is not ours any more: SIGCHLD is ignored in this program, or somebody waits for children that are
                // not theirs. Its number may be a stranger's from here on, and its status is lost.
                (self.exited, self.reaped) = (true, true);
            }
        }
        self.exited
    }

    /// Signals everybody in the group.
    pub(crate) fn signal_group(&mut self, signal: Signal) {
        self.poll_exit();
        if self.reaped {
            return;
        }
        let sent = match kill_process_group(self.group(), signal) {
            // It has left its own group. It is unreaped, so its number is still its own.
            Err(Errno::SRCH) => kill_process(self.group(), signal),
            other => other,
        };
        if let Err(error) = sent {
            tracing::warn!(target: "rt_process", pid = self.pid(), %error, "the process group cannot be signalled");
        }
    }

    /// Whether anybody but the leader is alive in the group. True when that cannot be found out.
    pub(crate) fn group_is_alive(&self) -> bool {
        let leader = self.pid();
        !self.reaped
            && procfs::snapshot().map_or(true, |entries| {
                entries.iter().any(|entry| entry.group == leader && entry.pid != leader && !entry.is_zombie)
            })
    }

    /// Reaps it if it has exited; no signal is sent afterwards. Its status, when it is known.
    pub(crate) fn reap(&mut self) -> Option<ExitStatus> {
        if self.poll_exit() && !self.reaped {
            self.reaped = true;
            self.status = self.child.try_wait().ok().flatten().and_then(ExitStatus::from_std);
            self.pidfd = None;
            let status = self.status.map(tracing::field::display);
            tracing::debug!(target: "rt_process", pid = self.pid(), status, "process ended");
        }
        self.status
    }

    /// Without a pidfd, as on a system that has none.
    #[cfg(test)]
    pub(crate) fn forget_pidfd(&mut self) {
        self.pidfd = None;
    }

    /// The group has the number of its leader.
    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// `Err` when it is no child of ours (any more).
fn wait_without_reaping(pid: Pid) -> Result<bool, Errno> {
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
        {
            Err(Errno::INTR) => {}
            other => return other.map(|status| status.is_some()),
        }
    }
}

/// The number is the child's: it is not reaped yet. A kernel or a sandbox without pidfds refuses.
#[cfg(target_os = "linux")]
fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_pidfd(_pid: Pid) -> Option<OwnedFd> {
    None
}
