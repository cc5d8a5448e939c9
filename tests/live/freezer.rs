//! What freezes a process of this machine: a control group of version 1 or 2.

use std::fs;
use std::path::PathBuf;

use crate::case::Problem;

/// The control group that freezes a process.
pub(crate) struct Freezer {
    pub(crate) group: PathBuf,
    file: &'static str,
    frozen: &'static str,
    thawed: &'static str,
}

impl Freezer {
    pub(crate) fn of(pid: u32) -> Result<Self, Problem> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let of = |sign: &str| groups.lines().find_map(|line| line.split_once(sign)).map(|(_, path)| path);
        let (root, path, file, frozen, thawed) = match (of(":freezer:"), of("0::")) {
            (Some(path), _) => ("/sys/fs/cgroup/freezer", path, "freezer.state", "FROZEN", "THAWED"),
            (None, Some(path)) => ("/sys/fs/cgroup", path, "cgroup.freeze", "1", "0"),
            (None, None) => return Err("no control group".into()),
        };
        Ok(Self { group: PathBuf::from(format!("{root}{path}")), file, frozen, thawed })
    }

    /// A group of its own below this one, for a part of its processes.
    pub(crate) fn below(&self, name: &str) -> std::io::Result<Self> {
        let group = self.group.join(name);
        fs::create_dir(&group)?;
        Ok(Self { group, ..*self })
    }

    pub(crate) fn is_frozen(&self) -> std::io::Result<bool> {
        Ok(fs::read_to_string(self.group.join(self.file))?.trim() == self.frozen)
    }

    pub(crate) fn set_frozen(&self, frozen: bool) -> std::io::Result<()> {
        fs::write(self.group.join(self.file), if frozen { self.frozen } else { self.thawed })
    }
}
