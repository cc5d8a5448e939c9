//! The processes of a container, seen from this host: whether something of it runs on when its record is gone.
//!
//! podman 4.3 drops the record of a container that is being stopped, and ends nothing (seen on 4.3.1).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rt_process::procfs::{self, ProcessEntry, Signal};
use rt_protocol::Until;

/// How long processes may take to vanish that were killed.
const DEATH_LIMIT: Duration = Duration::from_secs(2);
/// From look to look.
const STEP: Duration = Duration::from_millis(10);

/// The main process of a container.
#[derive(Clone, Debug)]
pub(crate) struct MainProcess {
    id: String,
    entry: ProcessEntry,
    /// Whether it shares its process namespace with others, which then do not end with it.
    is_shared: bool,
}

impl MainProcess {
    /// The process of that number, where this host can see that it is the container's: by its cgroup, or by conmon above it.
    /// podman may count the processes of another machine, and a number is given again.
    pub(crate) fn find(id: &str, pid: u32) -> Option<Self> {
        let entry = procfs::entry(pid).ok()??;
        let is_its_own = has_cgroup_of(pid, id)
            || procfs::command_line(entry.parent)
                .is_ok_and(|line| line.is_some_and(|line| line.iter().any(|word| word == id)));
        let namespace = |pid| procfs::pid_namespace(pid).ok().flatten();
        let is_shared = namespace(pid).is_none_or(|own| namespace(entry.parent) == Some(own));
        (is_its_own && !entry.is_zombie).then(|| Self { id: id.to_owned(), entry, is_shared })
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        !is_alive(&self.entry)
    }

    /// Whether cgroup v1 keeps it frozen: not even KILL ends it then.
    pub(crate) fn is_frozen(&self) -> bool {
        let cgroups = procfs::cgroups(self.entry.pid).ok().flatten().unwrap_or_default();
        cgroups.iter().any(|path| {
            let cgroup = Path::new("/sys/fs/cgroup/freezer").join(path.trim_start_matches('/'));
            fs::read_to_string(cgroup.join("freezer.state")).is_ok_and(|state| state.trim() != "THAWED")
        })
    }

    /// Waits until it has ended, but not for ever.
    pub(crate) fn wait(&self, until: &Until) {
        let until = until.clone().or_after(DEATH_LIMIT);
        while is_alive(&self.entry) && until.sleep(STEP).is_ok() {}
    }
}

/// Ends what runs of containers whose records are gone, and answers with the ids and the processes of those that run all the
/// same.
pub(crate) fn end_all(gone: &[MainProcess]) -> Vec<(String, ProcessEntry)> {
    let begun = Instant::now();
    loop {
        let alive = alive_of(gone);
        if alive.is_empty() || begun.elapsed() > DEATH_LIMIT {
            return alive;
        }
        for (_, entry) in &alive {
            if let Err(error) = procfs::signal(entry, Signal::Kill) {
                tracing::debug!(pid = entry.pid, %error, "a process of a removed container could not be killed");
            }
        }
        std::thread::sleep(STEP);
    }
}

/// The main processes that are alive, and what else runs in the cgroups of their containers: a container without a process
/// namespace of its own does not end with its main process.
fn alive_of(gone: &[MainProcess]) -> Vec<(String, ProcessEntry)> {
    let mut alive: Vec<_> = gone
        .iter()
        .filter(|process| is_alive(&process.entry))
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

fn is_alive(entry: &ProcessEntry) -> bool {
    matches!(procfs::entry(entry.pid), Ok(Some(now)) if now.start_time == entry.start_time && !now.is_zombie)
}

/// Whether the process is in the cgroup of the container's processes; conmon has one of its own, or none.
fn has_cgroup_of(pid: u32, id: &str) -> bool {
    let cgroups = procfs::cgroups(pid).ok().flatten().unwrap_or_default();
    let own = ["libpod-", "libpod-payload-"].map(|kind| format!("{kind}{id}"));
    cgroups.iter().any(|path| own.iter().any(|name| path.contains(name)))
}
