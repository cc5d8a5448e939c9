//! How a command gets into a Debian tree.

use std::path::Path;

use super::cgroup_view::CgroupView;
use crate::child::Task;

/// Enters the tree `$1` and runs the words after `$3` there; `$2` is the target directory, and with
/// `view` as `$3` the tree sees the cgroups of version 2 of the caller's cgroup namespace alone.
///
/// All mounts are private to this process and what it starts, and go with the last of them; the
/// host's are only looked at. The root is changed by `pivot_root`: in a plain chroot `podman exec`
/// lands in the outer root.
const ENTER: &str = r#"set -e
tree=$1 target=$2 cgroups=$3; shift 3
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
if [ "$cgroups" = view ]; then
	mount -t cgroup2 cgroup2 "$tree/sys/fs/cgroup"
	# Only the root of the whole machine lacks it: there crun would move every process.
	test -e "$tree/sys/fs/cgroup/cgroup.type"
fi
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=755 tmpfs "$tree/run"
mount --bind "$target" "$tree/mnt"
mkdir -p "$tree/.host"
cd "$tree"
pivot_root . .host
exec chroot . /bin/sh -c 'umount -l /.host && exec "$@"' sh "$@""#;

pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Enters the cgroup `$1`, makes it the root of a cgroup namespace, and runs the other words there.
const ENTER_GROUP: &str = r#"echo $$ >"$1/cgroup.procs" && shift && exec unshare --cgroup "$@""#;

/// A command in the tree, with the rights and the variables of this process; its words are still to
/// come.
pub(super) fn enter(tree: &Path, target: &Path, view: Option<&CgroupView>) -> Task {
    let task = match view {
        Some(view) => Task::new("sh").args(["-c", ENTER_GROUP, "sh"]).args([view.group()]).args(["unshare"]),
        None => Task::new("unshare"),
    };
    task.args(["--mount", "--propagation=private", "sh", "-c", ENTER, "sh"])
        .args([tree, target])
        .args([if view.is_some() { "view" } else { "host" }])
        .env("PATH", Some(PATH))
}
