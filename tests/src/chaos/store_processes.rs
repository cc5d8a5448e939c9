//! The processes that this run's podman has started, by what they are: known by the store's
//! configuration in their environment, and by who their parents are. Nobody else's are ever among
//! them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rt_process::procfs::{self, ProcessEntry};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What a process is to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The podman that this process has started, or a part of it.
    Client,
    /// What keeps a container or a command.
    Conmon,
    /// crun, runc, or what stands before them.
    Runtime,
    /// The podman that conmon starts when something has ended.
    Cleanup,
    /// The first process of a command.
    Command,
    /// The first process of a container.
    Main,
}

/// All of them.
pub(super) const ROLES: [Role; 6] =
    [Role::Client, Role::Conmon, Role::Runtime, Role::Cleanup, Role::Command, Role::Main];

/// Finds the processes of one store.
#[derive(Debug)]
pub(super) struct StoreProcesses {
    configuration: String,
}

impl StoreProcesses {
    /// Those of the store that this process is led to; `None` when it is led to none.
    pub(super) fn of_this_store() -> Option<Self> {
        std::env::var("CONTAINERS_CONF").ok().map(|configuration| Self { configuration })
    }

    /// Everybody there is now.
    pub(super) fn look(&self) -> Vec<(Role, ProcessEntry)> {
        let all: HashMap<u32, ProcessEntry> =
            procfs::snapshot().unwrap_or_default().into_iter().map(|entry| (entry.pid, entry)).collect();
        let own = std::process::id();
        let spared: Vec<u32> = line(&all, own).map(|entry| entry.pid).collect();
        let candidates = all.values().filter(|entry| !entry.is_zombie && !spared.contains(&entry.pid));
        candidates.filter_map(|entry| self.role(&all, entry, own).map(|role| (role, entry.clone()))).collect()
    }

    /// What a process is now, that may have been something else when it was looked up: the OCI
    /// runtime's child becomes the container's first process, a child of podman's becomes conmon.
    pub(super) fn role_now(&self, known: &ProcessEntry) -> Option<Role> {
        let is_same = |entry: &ProcessEntry| entry.pid == known.pid && entry.start_time == known.start_time;
        self.look().into_iter().find(|(_, entry)| is_same(entry)).map(|(role, _)| role)
    }

    fn role(&self, all: &HashMap<u32, ProcessEntry>, entry: &ProcessEntry, own: u32) -> Option<Role> {
        let is_marked = |entry: &ProcessEntry| {
            procfs::environment_has(entry.pid, "CONTAINERS_CONF", &self.configuration)
                .is_ok_and(|has| has == Some(true))
        };
        let is_inside = is_elsewhere(entry.pid, own);
        if is_inside || !is_marked(entry) {
            // The first process of a container or of a command starts as a child of the OCI
            // runtime, with the runtime's name and environment. Only its process namespace
            // distinguishes it from the runtime. Later conmon is its parent.
            let parent = all.get(&entry.parent).filter(|parent| !is_elsewhere(parent.pid, own))?;
            let conmon = line(all, parent.pid).find(|entry| entry.name == "conmon" && is_marked(entry))?;
            let role = if serves_a_command(conmon.pid) { Role::Command } else { Role::Main };
            return (is_inside || parent.pid == conmon.pid).then_some(role);
        }
        match entry.name.as_str() {
            "podman" if line(all, entry.pid).any(|ancestor| ancestor.pid == own) => Some(Role::Client),
            "podman" => Some(Role::Cleanup),
            "conmon" => Some(Role::Conmon),
            // Not the server of a laboratory, which stands beside podman, and not what keeps a
            // user's namespaces.
            _ => {
                let is_below = |name: &str| line(all, entry.parent).any(|ancestor| ancestor.name == name);
                (entry.name != "catatonit" && (is_below("podman") || is_below("conmon")))
                    .then_some(Role::Runtime)
            }
        }
    }
}

/// Whether a process is in another process namespace than `own`.
fn is_elsewhere(pid: u32, own: u32) -> bool {
    let namespace = |pid| procfs::pid_namespace(pid).ok().flatten();
    namespace(pid).is_some_and(|found| namespace(own) != Some(found))
}

/// A process and its ancestors.
fn line(all: &HashMap<u32, ProcessEntry>, pid: u32) -> impl Iterator<Item = &ProcessEntry> {
    // A parent that has just ended may be missing, and a number may be given again: no line is
    // endless.
    std::iter::successors(all.get(&pid), |entry| all.get(&entry.parent)).take(64)
}

/// Whether this conmon keeps a command, and not a container: podman hands it a specification then.
fn serves_a_command(conmon: u32) -> bool {
    fs::read(Path::new("/proc").join(conmon.to_string()).join("cmdline"))
        .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == b"--exec-process-spec"))
}

/// Sends a signal to this process and to no other that was given its number since; whether it was
/// there.
pub(super) fn send(entry: &ProcessEntry, signal: Signal) -> std::io::Result<bool> {
    let Some(pid) = i32::try_from(entry.pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if procfs::entry(entry.pid)?.is_none_or(|now| now.start_time != entry.start_time || now.is_zombie) {
        return Ok(false);
    }
    match pidfd_send_signal(&descriptor, signal) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
