//! The signs that a process is in a certain container, whatever its environment, session and
//! parents are.

use std::collections::HashSet;

use rt_process::procfs::{self, ProcessEntry};

/// The signs of one container: its control group, whose name contains the container's id, and its
/// mount namespace. A process cannot leave either without privileges that containers lack by
/// default. A container without control groups has only the second sign. A container that shares
/// its pid namespace, with the host or with others, has both.
#[derive(Debug)]
pub(crate) struct ContainerSigns {
    /// podman's full id of the container.
    id: String,
    mount_namespaces: HashSet<u64>,
    /// The namespaces of this process and of conmon, which are no sign.
    outside: HashSet<u64>,
    /// The processes that have shown a sign once, by pid and start time.
    shown: HashSet<(u32, u64)>,
}

impl ContainerSigns {
    pub(crate) fn new(id: String) -> Self {
        let outside = mount_namespace(std::process::id()).into_iter().collect();
        Self { id, mount_namespaces: HashSet::new(), outside, shown: HashSet::new() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Learns from a process outside every container.
    pub(crate) fn learn_outside(&mut self, pid: u32) {
        self.outside.extend(mount_namespace(pid));
    }

    /// Learns from a process that is known to be in the container.
    pub(crate) fn learn_inside(&mut self, pid: u32) {
        let namespace = mount_namespace(pid).filter(|namespace| !self.outside.contains(namespace));
        self.mount_namespaces.extend(namespace);
    }

    /// Returns whether there is a sign other than the control group.
    pub(crate) fn has_namespace(&self) -> bool {
        !self.mount_namespaces.is_empty()
    }

    /// Returns whether the process is in the container.
    pub(crate) fn are_shown_by(&mut self, entry: &ProcessEntry) -> bool {
        let key = (entry.pid, entry.start_time);
        if self.shown.contains(&key) {
            return true;
        }
        let in_group = || {
            let groups = procfs::cgroups(entry.pid).ok().flatten().unwrap_or_default();
            groups.iter().any(|path| is_group_of(path, &self.id))
        };
        let in_namespace =
            || mount_namespace(entry.pid).is_some_and(|namespace| self.mount_namespaces.contains(&namespace));
        let is_inside = in_group() || in_namespace();
        if is_inside {
            self.shown.insert(key);
        }
        is_inside
    }
}

fn mount_namespace(pid: u32) -> Option<u64> {
    procfs::mount_namespace(pid).ok().flatten()
}

/// Returns whether a control group is the container's or below it: `…/libpod-ID`,
/// `…/libpod-ID.scope/container`, `…/libpod-payload-ID` with `--cgroups=split`. The group of its
/// conmon, `libpod-conmon-ID.scope`, is not.
pub(crate) fn is_group_of(path: &str, id: &str) -> bool {
    path.split('/').any(|name| {
        let name = name.strip_suffix(".scope").unwrap_or(name);
        name.strip_prefix("libpod-").map(|rest| rest.strip_prefix("payload-").unwrap_or(rest)) == Some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_group_names_the_container_that_it_is_of() {
        for (path, is_of) in [
            ("/libpod_parent/libpod-77", true),
            ("/machine.slice/libpod-77.scope/container", true),
            ("/user.slice/user-0.slice/run.scope/libpod-payload-77", true),
            ("/libpod_parent/4711/libpod-77/init.scope", true),
            ("/machine.slice/libpod-conmon-77.scope", false),
            ("/libpod_parent/libpod-777", false),
            ("/libpod_parent/conmon", false),
            ("/", false),
        ] {
            assert_eq!(is_group_of(path, "77"), is_of, "{path}");
        }
    }

    #[test]
    fn the_namespace_of_this_process_is_no_sign() {
        let mut signs = ContainerSigns::new("7".repeat(64));
        signs.learn_inside(std::process::id());
        let own = procfs::entry(std::process::id()).unwrap().unwrap();
        assert!(!signs.has_namespace() && !signs.are_shown_by(&own));
    }
}
