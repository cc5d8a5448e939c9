//! Processes that a store left behind, told by their environment: everything started in it carries
//! the path of its containers.conf, which no other store has. No process is ever chosen by its name
//! alone.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Which of the marked processes are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// podman's own: for a store whose variables a person's shell may have taken over.
    Podman,
    /// All: nothing but our own children ever had these variables.
    All,
}

/// What podman leaves running, by the kernel's name of the process (15 bytes).
const PODMANS: [&str; 10] = [
    "podman",
    "conmon",
    "catatonit",
    "slirp4netns",
    "pasta",
    "pasta.avx2",
    "rootlessport",
    "aardvark-dns",
    "netavark",
    "fuse-overlayfs",
];

/// TERM, two seconds, KILL. Returns the names of the processes that were found.
pub(super) fn end(dir: &Path, scope: Scope) -> Vec<String> {
    let found = marked(dir, scope);
    let names = found.iter().map(|pid| name(*pid)).collect();
    for pid in &found {
        let _ = kill_process(*pid, Signal::TERM);
    }
    let start = Instant::now();
    while !marked(dir, scope).is_empty() && start.elapsed() < Duration::from_secs(2) {
        sleep(Duration::from_millis(50));
    }
    for pid in marked(dir, scope) {
        let _ = kill_process(pid, Signal::KILL);
    }
    names
}

/// The processes with the store's mark, without this one and its ancestors. A zombie has no
/// environment any more and is not among them.
fn marked(dir: &Path, scope: Scope) -> HashSet<Pid> {
    let mark = [b"CONTAINERS_CONF=", dir.join("containers.conf").as_os_str().as_bytes()].concat();
    let spared = ancestors();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .filter(|pid| !spared.contains(pid))
        .filter(|pid| scope == Scope::All || PODMANS.contains(&name(*pid).as_str()))
        .filter(|pid| {
            // Unreadable environments are those of other users.
            let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark)
        })
        .collect()
}

fn name(pid: Pid) -> String {
    let text = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
    text.trim_end().to_owned()
}

fn ancestors() -> HashSet<Pid> {
    let mut line = HashSet::new();
    let mut next = Some(rustix::process::getpid());
    while let Some(pid) = next.filter(|pid| line.insert(*pid)) {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        next = parent(&stat).and_then(Pid::from_raw);
    }
    line
}

/// The fourth field of /proc/PID/stat; the second may hold spaces and brackets.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Task;

    #[test]
    fn the_parent_is_found_behind_a_strange_name() {
        assert_eq!(parent("12 (a) b (c) S 7 12 12 0"), Some(7));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn a_process_with_the_mark_is_ended_and_its_neighbour_is_not() {
        let mine = tempfile::tempdir().unwrap();
        let start = |dir: &Path| {
            let conf = dir.join("containers.conf").into_os_string();
            // A child of the shell is `sh` too, until it has become `sleep`.
            let script = r#"exec >/dev/null 2>&1; sleep 60 & until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; echo $! >"$1""#;
            let task = Task::new("sh").args(["-c", script, "sh"]);
            let note = dir.join("pid");
            task.args([&note]).env("CONTAINERS_CONF", Some(conf)).run_checked().unwrap();
            Pid::from_raw(fs::read_to_string(note).unwrap().trim().parse().unwrap()).unwrap()
        };
        let other = tempfile::tempdir().unwrap();
        let (left, neighbour) = (start(mine.path()), start(other.path()));
        assert_eq!(marked(mine.path(), Scope::Podman), HashSet::new(), "sleep is not podman's");
        assert_eq!(end(mine.path(), Scope::All), ["sleep"]);
        assert!(!marked(mine.path(), Scope::All).contains(&left));
        assert!(marked(other.path(), Scope::All).contains(&neighbour));
        assert_eq!(end(other.path(), Scope::All), ["sleep"]);
    }
}
