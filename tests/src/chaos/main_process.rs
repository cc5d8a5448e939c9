//! A container's first process: with it, the kernel ends everything in its process namespace.

use rt_process::procfs::{self, ProcessEntry};

use crate::live::Live;
use crate::ssh_lab::Result;

/// The first process of a running container.
#[derive(Clone, Debug)]
pub(super) struct MainProcess(ProcessEntry);

impl MainProcess {
    /// That of a container that nothing has harmed yet.
    pub(super) fn of(live: &Live, container: &str) -> Result<Self> {
        let pid = live.plain(&["inspect", "--format={{.State.Pid}}", container])?.trim().parse()?;
        Ok(Self(procfs::entry(pid)?.ok_or("the container has no process")?))
    }

    /// Whether it runs.
    pub(super) fn is_alive(&self) -> bool {
        let now = procfs::entry(self.0.pid).ok().flatten();
        now.is_some_and(|now| now.start_time == self.0.start_time && !now.is_zombie)
    }
}
