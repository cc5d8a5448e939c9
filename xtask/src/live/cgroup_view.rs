//! A cgroup v2 view for a podman that refuses version 1: a group below the host's version 2 mount,
//! which a process enters before it takes a cgroup namespace of its own. Nothing of the host is
//! mounted, unmounted or moved.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::note::note;
use crate::failure::{Failure, Result};

/// Groups of this prefix are ours; the number behind it is the process that made one.
const PREFIX: &str = "rt-live-";

/// A group of its own, removed on drop.
#[derive(Debug)]
pub(super) struct CgroupView {
    group: PathBuf,
}

impl CgroupView {
    /// A group where the host has cgroups of version 1; `None` where version 2 is all there is.
    pub(super) fn make() -> Result<Option<Self>> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let Some(mount) = version_2(&mounts) else {
            return Err(Failure::new(
                "podman 6 refuses cgroups of version 1, and version 2 is not mounted beside them here",
            ));
        };
        if mount == Path::new("/sys/fs/cgroup") {
            return Ok(None);
        }
        sweep(&mount);
        let group = mount.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&group).map_err(|error| Failure::io("make", &group, &error))?;
        Ok(Some(Self { group }))
    }

    pub(super) fn group(&self) -> &Path {
        &self.group
    }
}

impl Drop for CgroupView {
    fn drop(&mut self) {
        // The last process of a run may still be on its way out.
        for _ in 0..20 {
            if remove(&self.group) {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        note(&format!("the cgroup {} is in use and stays", self.group.display()));
    }
}

/// Removes a group and those that podman has made in it; the kernel refuses one that has a process.
fn remove(group: &Path) -> bool {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let stay = groups.filter(|entry| !remove(&entry.path())).count();
    stay == 0 && (fs::remove_dir(group).is_ok() || !group.exists())
}

/// The groups of runs that were killed before they could.
fn sweep(mount: &Path) {
    for entry in fs::read_dir(mount).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(&entry.path());
        }
    }
}

/// Where version 2 is mounted.
fn version_2(mountinfo: &str) -> Option<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        (after.split(' ').next() == Some("cgroup2")).then(|| before.split(' ').nth(4).map(PathBuf::from))?
    });
    // A container's own view may stand beside the host's.
    points.filter(|point| point.starts_with("/sys/fs/cgroup")).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_found_alone_and_beside_version_1() {
        let hybrid = "30 22 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            31 30 0:31 / /sys/fs/cgroup/cpu rw shared:3 - cgroup cgroup rw,cpu\n\
            32 30 0:32 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n\
            33 30 0:33 / /mnt/cgroup2 rw - cgroup2 none rw\n";
        assert_eq!(version_2(hybrid), Some("/sys/fs/cgroup/unified".into()));
        let pure = "30 22 0:30 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(version_2(pure), Some("/sys/fs/cgroup".into()));
        assert_eq!(version_2("31 30 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
    }

    #[test]
    fn a_group_stays_while_something_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("g");
        fs::create_dir_all(group.join("a/b")).unwrap();
        fs::create_dir_all(group.join("c")).unwrap();
        // Stands for a process: a directory that is not empty is refused as a group with one is.
        fs::write(group.join("a/b/held"), "").unwrap();
        assert!(!remove(&group) && group.join("a/b").exists() && !group.join("c").exists());
        fs::remove_file(group.join("a/b/held")).unwrap();
        assert!(remove(&group) && !group.exists());
    }
}
