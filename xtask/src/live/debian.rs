//! A Debian 13 tree with podman 5.4, for machines whose own podman is an older one. It is made once below the target
//! directory and kept; how it is entered stands in `place`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::place::Place;
use super::{mounts, note, packages};
use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::programs;

const RELEASE: &str = "trixie";

/// The user of rootless runs.
const USER: &str = "rt";

/// podman and what the live suite uses beside it. Nothing is compiled in the tree.
const PACKAGES: [&str; 17] = [
    "podman",
    "crun",
    "runc",
    "conmon",
    "netavark",
    "aardvark-dns",
    "slirp4netns",
    "passt",
    "iptables",
    "nftables",
    "uidmap",
    "fuse-overlayfs",
    "catatonit",
    "busybox-static",
    "openssh-server",
    "openssh-client",
    "iproute2",
];

/// debootstrap and apt have no limit of their own; both download.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// A complete tree.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    dir: PathBuf,
}

impl Tree {
    /// The tree below `target`, made where it is missing or was made of other packages.
    pub(super) fn make(target: &Path) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Failure::new(
                "podman 5 is brought in a Debian tree, and only root can make and enter one",
            ));
        }
        fs::create_dir_all(target).map_err(|error| Failure::io("make", target, &error))?;
        let tree = Self { dir: target.join("live-debian-13") };
        let _one_maker = tree.lock()?;
        let stamp = format!("{RELEASE} {USER} {}\n", PACKAGES.join(" "));
        if fs::read_to_string(tree.stamp()).is_ok_and(|text| text == stamp) {
            note(&format!("the Debian 13 tree at {} is complete", tree.dir.display()));
            return Ok(tree);
        }
        tree.remove()?;
        note(&format!("making a Debian 13 tree at {}, some 0.9 GB", tree.dir.display()));
        let made = tree.bootstrap().and_then(|()| tree.equip());
        if let Err(failure) = made {
            // Half a tree is none.
            return Err(tree.remove().err().unwrap_or(failure));
        }
        // Last, so that the stamp says that everything before it was done.
        fs::write(tree.stamp(), stamp).map_err(|error| Failure::io("write", &tree.stamp(), &error))?;
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn at(dir: &str) -> Self {
        Self { dir: dir.into() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("complete")
    }

    fn lock(&self) -> Result<File> {
        let path = self.dir.with_extension("lock");
        let file = File::create(&path).map_err(|error| Failure::io("make", &path, &error))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| Failure::io("lock", &path, &error.into()))?;
        Ok(file)
    }

    fn remove(&self) -> Result<()> {
        if !self.dir.exists() {
            return Ok(());
        }
        // debootstrap mounts /proc in it while it works.
        mounts::release(&self.dir)?;
        fs::remove_dir_all(&self.dir).map_err(|error| Failure::io("remove", &self.dir, &error))
    }

    fn bootstrap(&self) -> Result<()> {
        if programs::find("debootstrap").is_none() {
            packages::install("debootstrap")?;
        }
        Task::new("debootstrap")
            .args(["--variant=minbase", "--include=ca-certificates", RELEASE])
            .args([self.dir.as_os_str(), mirror().as_ref()])
            .limit(LIMIT)
            .must()
    }

    /// The packages and the user. The mirror and the settings of apt are the machine's own.
    fn equip(&self) -> Result<()> {
        let copy = |path: &Path| {
            let inside = self.dir.join(path.strip_prefix("/").unwrap_or(path));
            fs::copy(path, &inside).map_err(|error| Failure::io("copy to", &inside, &error))
        };
        copy(Path::new("/etc/resolv.conf"))?;
        let settings = fs::read_dir("/etc/apt/apt.conf.d").into_iter().flatten().flatten();
        for entry in settings.filter(|entry| entry.path().is_file()) {
            copy(&entry.path())?;
        }
        // No package starts a service in the tree.
        let script = format!(
            "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && \
             apt-get -qq update && apt-get -qq --yes --no-install-recommends install {} && apt-get clean && \
             useradd --create-home --shell /bin/sh {USER}",
            PACKAGES.join(" ")
        );
        let task = Place::inside(self.clone()).enter(["sh", "-c", &script]);
        task.env("DEBIAN_FRONTEND", Some("noninteractive")).limit(LIMIT).must()
    }
}

/// The Debian mirror of this machine's own apt, so that a machine behind one goes on using it.
fn mirror() -> String {
    let lists = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = lists.map(|entry| entry.path()).collect();
    paths.sort();
    paths.insert(0, PathBuf::from("/etc/apt/sources.list"));
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    mirror_in(&texts.collect::<Vec<_>>().join("\n"))
}

/// The first address that ends in `/debian`, in either form of a sources list.
fn mirror_in(sources: &str) -> String {
    let lines = sources.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    let mirror = words.find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"));
    mirror.unwrap_or("http://deb.debian.org/debian").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_the_machine() {
        let old = "# deb http://old/debian x\ndeb [arch=amd64] http://near/debian/ bookworm main\n";
        assert_eq!(mirror_in(old), "http://near/debian/");
        let new =
            "Types: deb\n# http://snapshot/archive/debian\nURIs: http://near/debian\nSuites: bookworm\n";
        assert_eq!(mirror_in(new), "http://near/debian");
        let other = "deb https://packages.example/apt x main\nURIs: http://deb/debian-security\n";
        assert_eq!(mirror_in(other), "http://deb.debian.org/debian");
    }

    #[test]
    fn half_a_tree_is_removed() {
        let target = tempfile::tempdir().unwrap();
        let tree = Tree { dir: target.path().join("live-debian-13") };
        fs::create_dir_all(tree.dir.join("usr/bin")).unwrap();
        tree.remove().unwrap();
        tree.remove().unwrap();
        assert!(!tree.dir.exists());
    }
}
