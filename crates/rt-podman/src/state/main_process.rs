//! The processes of a container as seen from this host: whether any still runs after its record is
//! gone.
//!
//! podman 4.3 drops the record of a container that is being stopped, and ends no process (seen on
//! 4.3.1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::{Signal, Until};

use crate::exec::kill::container_signs::is_group_of;
use crate::exec::kill::signals::now;

/// How long killed processes may take to disappear.
const DEATH_LIMIT: Duration = Duration::from_secs(2);
/// The pause between two checks.
const STEP: Duration = Duration::from_millis(10);

/// How a version of control groups freezes, see cgroups(7).
struct Freezer {
    root: &'static str,
    file: &'static str,
    frozen: &'static str,
    /// Anything else means that they are frozen, or on their way.
    thawed: &'static str,
}

const VERSION_1: Freezer =
    Freezer { root: "/sys/fs/cgroup/freezer", file: "freezer.state", frozen: "FROZEN", thawed: "THAWED" };
const VERSION_2: Freezer =
    Freezer { root: "/sys/fs/cgroup", file: "cgroup.freeze", frozen: "1", thawed: "0" };

/// The main process of a container.
#[derive(Clone, Debug)]
pub(crate) struct MainProcess {
    id: String,
    entry: ProcessEntry,
    /// Whether it shares its pid namespace with other processes, which then do not end with it.
    is_shared: bool,
}

impl MainProcess {
    /// Returns the process with this pid, if this host can see that it is the container's: by its
    /// cgroup, or by conmon above it. podman's pids may be those of another machine, and pids are
    /// reused.
    pub(crate) fn find(id: &str, pid: u32) -> Option<Self> {
        let entry = procfs::entry(pid).ok()??;
        let is_its_own = has_cgroup_of(pid, id)
            || procfs::command_line(entry.parent)
                .is_ok_and(|line| line.is_some_and(|line| line.iter().any(|word| word == id)));
        let namespace = |pid| procfs::pid_namespace(pid).ok().flatten();
        let is_shared = namespace(pid).is_none_or(|own| namespace(entry.parent) == Some(own));
        (is_its_own && !entry.is_zombie).then(|| Self { id: id.to_owned(), entry, is_shared })
    }

    /// Returns whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        now(&self.entry).is_none()
    }

    /// Returns whether its control group is frozen; `None` if this host does not see that.
    pub(crate) fn freezer(&self) -> Option<bool> {
        let all = self.freezers(&VERSION_1).chain(self.freezers(&VERSION_2));
        all.map(|(_, is_frozen)| is_frozen).reduce(|one, other| one || other)
    }

    /// Freezes or thaws its control groups, whatever podman considers them to be. A container
    /// without one of its own shares its caller's, which is left alone.
    ///
    /// # Errors
    /// If this process has no right to.
    pub(crate) fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        for kind in [&VERSION_1, &VERSION_2] {
            for (file, _) in self.freezers(kind).filter(|(_, is_frozen)| *is_frozen != frozen) {
                fs::write(file, if frozen { kind.frozen } else { kind.thawed })?;
            }
        }
        Ok(())
    }

    /// Returns this file of each of its own control groups, and whether it is frozen.
    fn freezers(&self, kind: &'static Freezer) -> impl Iterator<Item = (PathBuf, bool)> {
        own_cgroups(self.entry.pid, &self.id).into_iter().filter_map(move |path| {
            let file = Path::new(kind.root).join(path.trim_start_matches('/')).join(kind.file);
            let state = fs::read_to_string(&file).ok()?;
            Some((file, state.trim() != kind.thawed))
        })
    }

    /// Waits a bounded time until it has ended.
    pub(crate) fn wait(&self, until: &Until) {
        let until = until.clone().or_after(DEATH_LIMIT);
        while now(&self.entry).is_some() && until.sleep(STEP).is_ok() {}
    }
}

/// Kills what still runs of containers whose records are gone. Returns the ids and processes that
/// survive.
pub(crate) fn end_all(gone: &[MainProcess]) -> Vec<(String, ProcessEntry)> {
    let begun = Instant::now();
    loop {
        let alive = alive_of(gone);
        if alive.is_empty() || begun.elapsed() > DEATH_LIMIT {
            return alive;
        }
        for (_, entry) in &alive {
            if let Err(error) = procfs::signal(entry, Signal::KILL) {
                tracing::debug!(pid = entry.pid, %error, "a process of a removed container could not be killed");
            }
        }
        std::thread::sleep(STEP);
    }
}

/// Returns the main processes that are alive, and other processes in the cgroups of their
/// containers. A container without its own pid namespace does not end with its main process.
fn alive_of(gone: &[MainProcess]) -> Vec<(String, ProcessEntry)> {
    let mut alive: Vec<_> = gone
        .iter()
        .filter(|process| now(&process.entry).is_some())
        .map(|process| (process.id.clone(), process.entry.clone()))
        .collect();
    let shared: Vec<_> = gone.iter().filter(|process| process.is_shared).collect();
    if !shared.is_empty() {
        let entries = procfs::snapshot().unwrap_or_default();
        for entry in entries.into_iter().filter(|entry| !entry.is_zombie) {
            if let Some(process) = shared.iter().find(|process| has_cgroup_of(entry.pid, &process.id))
                && !alive.iter().any(|(_, known)| known.pid == entry.pid)
            {
                alive.push((process.id.clone(), entry));
            }
        }
    }
    alive
}

/// Returns whether the process is in the cgroup of the container's processes. conmon has its own,
/// or none.
fn has_cgroup_of(pid: u32, id: &str) -> bool {
    !own_cgroups(pid, id).is_empty()
}

/// Returns the cgroups of the process that were made for this container.
fn own_cgroups(pid: u32, id: &str) -> Vec<String> {
    let mut cgroups = procfs::cgroups(pid).ok().flatten().unwrap_or_default();
    cgroups.retain(|path| is_group_of(path, id));
    cgroups
}
