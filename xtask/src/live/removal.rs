//! Taking a store away: its containers, its processes, its mounts, its cgroups, its bridge, its
//! files, in that order, and each even when the one before failed. Nothing outside the store is
//! touched; the mounts of the host's cgroups least of all.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::leftovers::{self, Scope};
use super::note::note;
use super::podman::Podman;
use super::{mounts, network};
use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::programs;

/// Removes the store at `dir`. Every part is bounded in time and goes on after a signal.
pub(super) fn remove(dir: &Path, program: Option<&Path>, scope: Scope) -> Result<()> {
    let podman = program.map(|program| Podman::new(program, dir).ignore_signals());
    // Before the first probe there is no configuration, and podman would fall back to the user's
    // own.
    let podman =
        podman.filter(|_| dir.join("containers.conf").is_file() && dir.join("storage.conf").is_file());
    let mut problems = Vec::new();
    if let Some(podman) = &podman {
        problems.extend(containers(podman, dir, scope));
        if !rustix::process::geteuid().is_root() {
            files_of_other_ids(podman, dir);
        }
    }
    // Without root: the pause process, which no `podman rm` ends.
    leftovers::end(dir, scope);
    if podman.is_some() {
        network(dir);
        cgroups();
    }
    // Never walk into a mount: what is behind it may be the user's.
    if let Err(failure) = mounts::release(dir).and_then(|()| tree(dir)) {
        problems.push(failure.to_string());
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("removing {}: {}", dir.display(), problems.join("; "))))
}

/// Removes what is in a directory of the store, and leaves the directory.
pub(super) fn empty(dir: &Path) -> Result<()> {
    mounts::release(dir)?;
    tree(dir)?;
    fs::create_dir(dir).map_err(|error| Failure::io("make", dir, &error))
}

/// Twice at most: a client that was still at work may have made another container after the first
/// call.
fn containers(podman: &Podman, dir: &Path, scope: Scope) -> Option<String> {
    for _ in 0..2 {
        let answer = podman.ask(&["rm", "--force", "--all", "--time", "0"]);
        let ended = leftovers::end(dir, scope);
        if !ended.is_empty() {
            note(&format!("ended processes that were left: {}", ended.join(" ")));
        } else if let Err(failure) = answer {
            return Some(failure.to_string());
        } else {
            break;
        }
    }
    match podman.ask(&["ps", "--all", "--quiet"]) {
        Ok(list) if list.trim().is_empty() => None,
        Ok(list) => Some(format!("containers {}", list.split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(failure) => Some(failure.to_string()),
    }
}

/// Without root, files of a container's users belong to ids that only podman's user namespace maps.
fn files_of_other_ids(podman: &Podman, dir: &Path) {
    let script =
        "umount \"$1/root/overlay\" 2>/dev/null; rm -rf --one-file-system \"$1/root\" \"$1/volumes\"";
    if let Err(failure) = podman.ask(&["unshare", "sh", "-c", script, "sh", &dir.to_string_lossy()]) {
        note(&failure.to_string());
    }
}

/// The bridge, which netavark takes away with the last container unless it was killed in between,
/// and the empty iptables chains of this network, which it leaves. Its chains for all networks and
/// the mount at /run/netns stay: every podman and `ip netns` of the machine share them.
fn network(dir: &Path) {
    let name = network::name(dir);
    let quiet = |task: Task| task.limit(Duration::from_secs(20)).ignore_signals().captured();
    if Path::new("/sys/class/net").join(&name).exists()
        && let Err(failure) = quiet(Task::new("ip").args(["link", "delete", &name]))
    {
        note(&format!("the bridge {name} stays: {failure}"));
    }
    let Some(iptables) = programs::find("iptables").filter(|_| rustix::process::geteuid().is_root()) else {
        return;
    };
    let hash = Task::new("sh").args(["-c", "printf %s \"$1\" | sha512sum", "sh", &name]);
    let Ok(hash) = quiet(hash) else { return };
    let Ok(rules) = quiet(Task::new(&iptables).args(["-w", "5", "-t", "nat", "-S"])) else { return };
    for chain in chains(&rules.stdout, &hash.stdout) {
        // Refused while a rule still leads to it.
        let _ = quiet(Task::new(&iptables).args(["-w", "5", "-t", "nat", "-X", chain]));
    }
}

/// The chains of one network in the output of `iptables -S`: netavark ends their names in 13 digits
/// of the SHA-512 of the network's name.
fn chains<'a>(rules: &'a str, hash: &str) -> Vec<&'a str> {
    let Some(hash) = hash.get(..13).map(str::to_ascii_uppercase) else { return Vec::new() };
    let made = rules.lines().filter_map(|line| line.strip_prefix("-N "));
    made.filter(|chain| chain.strip_prefix("NETAVARK-").is_some_and(|end| end.ends_with(&hash))).collect()
}

/// The groups that podman's cgroupfs manager leaves empty. They are shared by every such podman of
/// the machine: only rmdir, which refuses a group in use, and only where no container's group is
/// beside them.
fn cgroups() {
    let base = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([base.to_owned()]) {
        let parent = hierarchy.join("libpod_parent");
        let children = fs::read_dir(&parent).into_iter().flatten().flatten();
        let mut groups = children.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
        if groups.all(|name| name == "conmon") {
            let _ = fs::remove_dir(parent.join("conmon"));
            let _ = fs::remove_dir(&parent);
        }
    }
}

/// A clean-up process of podman's may still write while we remove; then once more.
fn tree(dir: &Path) -> Result<()> {
    let mut last = Ok(());
    for _ in 0..5 {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => last = Err(error),
            _ => return Ok(()),
        }
        sleep(Duration::from_millis(200));
    }
    last.map_err(|error| Failure::io("remove", dir, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unconfigured_store_is_removed_without_podman() {
        let dir = tempfile::tempdir().unwrap().keep();
        fs::create_dir(dir.join("root")).unwrap();
        // A podman that would fail the test if it were started: it is not there.
        remove(&dir, Some(Path::new("/nonexistent/podman")), Scope::All).unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn only_the_chains_of_the_network_itself_are_its_own() {
        let rules = "-P INPUT ACCEPT\n-N NETAVARK-1D8721804F16F\n-N NETAVARK-DN-ABCDEF0123456\n\
            -N NETAVARK-HOSTPORT-DNAT\n-A OUTPUT -j NETAVARK-DN-ABCDEF0123456\n";
        assert_eq!(chains(rules, "abcdef01234567890000  -\n"), ["NETAVARK-DN-ABCDEF0123456"]);
        assert!(chains(rules, "").is_empty());
    }

    #[test]
    fn emptying_keeps_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("root");
        fs::create_dir_all(sub.join("a/b")).unwrap();
        empty(&sub).unwrap();
        assert_eq!(fs::read_dir(&sub).unwrap().count(), 0);
    }
}
