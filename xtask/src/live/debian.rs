//! Debian trees with podman 5.4 and 6.1, for machines whose own podman is an older one. Each is
//! made once below the target directory and kept; how it is entered stands in `place`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::enter::enter;
use super::live_options::PodmanVersion;
use super::note::note;
use super::{mounts, packages};
use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::programs;

/// What a tree is made of.
#[derive(Debug, Clone, Copy)]
struct Release {
    /// The directory below the target directory.
    name: &'static str,
    suite: &'static str,
    /// The suite of podman and of what it needs of there, where that is another one.
    podman_suite: Option<&'static str>,
}

impl Release {
    fn of(version: PodmanVersion) -> Self {
        match version {
            PodmanVersion::Five => Self { name: "live-debian-13", suite: "trixie", podman_suite: None },
            PodmanVersion::Six => {
                Self { name: "live-debian-sid", suite: "sid", podman_suite: Some("experimental") }
            }
        }
    }

    /// The stamp of a complete tree.
    fn stamp_text(self) -> String {
        let suites = [Some(self.suite), self.podman_suite].into_iter().flatten().collect::<Vec<_>>();
        format!("{} {USER} {}\n", suites.join(" "), PACKAGES.join(" "))
    }

    /// What apt is told to do, by a shell in the tree.
    fn script(self, mirror: &str) -> String {
        const INSTALL: &str = "apt-get -qq --yes --no-install-recommends install";
        // No package starts a service in the tree.
        let quiet =
            "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d";
        let podman = self.podman_suite.map_or(String::new(), |suite| {
            format!(
                "echo 'deb {mirror} {suite} main' >>/etc/apt/sources.list && apt-get -qq update && \
                 {INSTALL} --target-release {suite} podman && "
            )
        });
        format!(
            "{quiet} && apt-get -qq update && {podman}{INSTALL} {} && apt-get clean && \
             useradd --create-home --shell /bin/sh {USER}",
            PACKAGES.join(" ")
        )
    }
}

/// The user of rootless runs.
const USER: &str = "rt";

/// podman and what the live suite uses beside it. Nothing is compiled in the tree.
const PACKAGES: [&str; 22] = [
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
    "tinysshd",
    "perl",
    "openssh-client",
    "dropbear-bin",
    "python3-paramiko",
    "openssl",
    "iproute2",
];

/// debootstrap and apt have no limit of their own; both download.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// A complete tree, which nobody makes anew while this lives.
#[derive(Debug)]
pub(super) struct Tree {
    dir: PathBuf,
    _lock: File,
}

impl Tree {
    /// The tree below `target`, made where it is missing or was made of other packages.
    pub(super) fn make(version: PodmanVersion, target: &Path) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Failure::new(format!(
                "podman {version} is brought in a Debian tree, and only root can make and enter one",
            )));
        }
        fs::create_dir_all(target).map_err(|error| Failure::io("make", target, &error))?;
        let release = Release::of(version);
        let site = Site { dir: target.join(release.name), release };
        let lock = site.lock(FlockOperation::LockShared)?;
        if site.is_complete() {
            note(&format!("the tree of Debian {} at {} is complete", release.suite, site.dir.display()));
            return Ok(Self { dir: site.dir, _lock: lock });
        }
        drop(lock);
        // Waits for those who use one that is to be made anew, and for another maker.
        let lock = site.lock(FlockOperation::LockExclusive)?;
        if !site.is_complete() {
            site.build()?;
        }
        flock(&lock, FlockOperation::LockShared)
            .map_err(|error| Failure::io("lock", &site.dir, &error.into()))?;
        Ok(Self { dir: site.dir, _lock: lock })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Where a tree stands, whether or not there is one.
struct Site {
    dir: PathBuf,
    release: Release,
}

impl Site {
    fn build(&self) -> Result<()> {
        self.remove()?;
        note(&format!(
            "making a tree of Debian {} at {}, some 0.9 GB",
            self.release.suite,
            self.dir.display()
        ));
        let made = self.bootstrap().and_then(|()| self.equip());
        if let Err(failure) = made {
            // Half a tree is none.
            return Err(self.remove().err().unwrap_or(failure));
        }
        // Last, so that the stamp says that everything before it was done.
        fs::write(self.stamp(), self.release.stamp_text())
            .map_err(|error| Failure::io("write", &self.stamp(), &error))
    }

    fn is_complete(&self) -> bool {
        fs::read_to_string(self.stamp()).is_ok_and(|text| text == self.release.stamp_text())
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("complete")
    }

    fn lock(&self, operation: FlockOperation) -> Result<File> {
        let path = self.dir.with_extension("lock");
        let file = File::create(&path).map_err(|error| Failure::io("make", &path, &error))?;
        flock(&file, operation).map_err(|error| Failure::io("lock", &path, &error.into()))?;
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
            .args(["--variant=minbase", "--include=ca-certificates", self.release.suite])
            .args([self.dir.as_os_str(), mirror().as_ref()])
            .limit(LIMIT)
            .run_checked()
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
        let script = self.release.script(&mirror());
        let task = enter(&self.dir, &self.dir, None).args(["sh", "-c", &script]);
        task.env("DEBIAN_FRONTEND", Some("noninteractive")).limit(LIMIT).run_checked()
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

    fn site(dir: PathBuf) -> Site {
        Site { dir, release: Release::of(PodmanVersion::Five) }
    }

    #[test]
    fn podman_alone_comes_from_the_newer_suite() {
        let script = Release::of(PodmanVersion::Six).script("http://near/debian");
        let (newer, rest) = script.split_once("install --target-release experimental podman &&").unwrap();
        assert!(newer.contains("'deb http://near/debian experimental main'"), "{script}");
        assert!(rest.contains(" crun ") && !rest.contains("experimental"), "{script}");
        assert!(!Release::of(PodmanVersion::Five).script("x").contains("target-release"));
        let [five, six] = [PodmanVersion::Five, PodmanVersion::Six].map(Release::of);
        assert!(five.name != six.name && five.stamp_text() != six.stamp_text());
    }

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
        let site = site(target.path().join("live-debian-13"));
        fs::create_dir_all(site.dir.join("usr/bin")).unwrap();
        assert!(!site.is_complete());
        site.remove().unwrap();
        site.remove().unwrap();
        assert!(!site.dir.exists());
    }

    #[test]
    fn a_tree_of_other_packages_is_not_complete() {
        let target = tempfile::tempdir().unwrap();
        let site = site(target.path().to_owned());
        fs::write(site.stamp(), site.release.stamp_text()).unwrap();
        assert!(site.is_complete());
        fs::write(site.stamp(), "trixie podman\n").unwrap();
        assert!(!site.is_complete());
    }
}
