//! The Debian packages of the live suite: which are missing, and their installation. Only for a
//! required live suite, only as root, and without starting a service or pulling in recommendations.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::note::note;
use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::programs;

/// A package, and a program that makes it unnecessary wherever that came from.
#[derive(Debug, Clone, Copy)]
struct Package {
    name: &'static str,
    program: Option<&'static str>,
    /// Not in every release; without it something else does the work.
    optional: bool,
}

const fn program(name: &'static str, program: &'static str) -> Package {
    Package { name, program: Some(program), optional: false }
}

const fn library(name: &'static str) -> Package {
    Package { name, program: None, optional: false }
}

/// For one architecture, or not in every release.
const fn optional(package: Package) -> Package {
    Package { optional: true, ..package }
}

const PACKAGES: [Package; 32] = [
    program("podman", "podman"),
    program("crun", "crun"),
    program("runc", "runc"),
    program("conmon", "conmon"),
    // Networks: bridges for root, user-space ones without; passt from Debian 12 on.
    library("netavark"),
    library("aardvark-dns"),
    program("slirp4netns", "slirp4netns"),
    optional(program("passt", "pasta")),
    program("iptables", "iptables"),
    program("nftables", "nft"),
    program("uidmap", "newuidmap"),
    program("fuse-overlayfs", "fuse-overlayfs"),
    program("catatonit", "catatonit"),
    // Test images are made of it.
    program("busybox-static", "busybox"),
    // The far side of the krun transport.
    program("openssh-server", "sshd"),
    program("openssh-client", "ssh"),
    // Servers of other makes, and what makes their keys; keys of a third program.
    program("dropbear-bin", "dropbear"),
    program("tinysshd", "tinysshd"),
    library("python3-paramiko"),
    program("openssl", "openssl"),
    // What images are pulled from.
    program("docker-registry", "docker-registry"),
    // A virtual machine, which is emulated: sealed as a krun guest is, on a host without KVM.
    // Kernel packages depend on kmod, which lists what a module needs.
    optional(program("qemu-system-x86", "qemu-system-x86_64")),
    optional(library("seabios")),
    optional(library("linux-image-cloud-amd64")),
    program("xz-utils", "xz"),
    // What libssh2 and a vendored OpenSSL are built with.
    program("gcc", "cc"),
    library("libc6-dev"),
    program("pkg-config", "pkg-config"),
    library("libssl-dev"),
    program("perl", "perl"),
    program("make", "make"),
    program("iproute2", "ip"),
];

/// Longer than any download here should take; apt itself has no limit.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Installs what is missing where that is possible. Where it is not, that is said and no failure
/// yet: whether podman works is what counts, and the probe will tell.
pub(crate) fn install_missing() -> Result<()> {
    let Some(installed) = installed()? else {
        note("no dpkg here: nothing is installed, and what is there is used");
        return Ok(());
    };
    let mut missing = missing(&installed, |name| programs::find(name).is_some());
    if missing.is_empty() {
        note("every package is there");
        return Ok(());
    }
    let names = |list: &[Package]| list.iter().map(|package| package.name).collect::<Vec<_>>().join(" ");
    let able = rustix::process::geteuid().is_root() && programs::find("apt-get").is_some();
    if !able {
        note(&format!("missing, and not installed without root and apt-get: {}", names(&missing)));
        return Ok(());
    }
    note(&format!("installing {}", names(&missing)));
    apt(&["update"]).run_checked()?;
    missing.retain(|package| !package.optional || available(package.name));
    if missing.is_empty() {
        return Ok(());
    }
    let _policy = NoServices::begin()?;
    let words = ["install", "--yes", "--no-install-recommends"];
    apt(&words).args(missing.iter().map(|package| package.name)).run_checked()
}

/// Installs one package that only some runs need.
pub(super) fn install(name: &str) -> Result<()> {
    note(&format!("installing {name}"));
    apt(&["update"]).run_checked()?;
    let _policy = NoServices::begin()?;
    apt(&["install", "--yes", "--no-install-recommends", name]).run_checked()
}

/// The names of installed packages; `None` where there is no dpkg.
fn installed() -> Result<Option<BTreeSet<String>>> {
    if programs::find("dpkg-query").is_none() {
        return Ok(None);
    }
    let names = PACKAGES.map(|package| package.name);
    // Exit code 1 when one of them is unknown; the others are listed all the same.
    let got = Task::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"])
        .args(names)
        .limit(Duration::from_secs(60))
        .captured()?;
    Ok(Some(
        got.stdout.lines().filter_map(|line| line.strip_suffix(" installed")).map(str::to_owned).collect(),
    ))
}

fn missing(installed: &BTreeSet<String>, found: impl Fn(&str) -> bool) -> Vec<Package> {
    let there = |package: &Package| installed.contains(package.name) || package.program.is_some_and(&found);
    PACKAGES.into_iter().filter(|package| !there(package)).collect()
}

fn available(name: &str) -> bool {
    let got = Task::new("apt-cache").args(["show", name]).limit(Duration::from_secs(60)).captured();
    got.is_ok_and(|got| got.status.success() && !got.stdout.is_empty())
}

fn apt(words: &[&str]) -> Task {
    Task::new("apt-get")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"])
        .args(words)
        .env("DEBIAN_FRONTEND", Some("noninteractive"))
        .limit(LIMIT)
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this lives, no package starts its service (sshd would take port 22). A policy that is
/// there already is left as it is.
struct NoServices {
    made: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let path = Path::new(POLICY);
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path);
        match opened {
            Ok(mut file) => {
                let policy = Self { made: true };
                file.write_all(b"#!/bin/sh\nexit 101\n").map_err(|e| Failure::io("write", path, &e))?;
                Ok(policy)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { made: false }),
            Err(error) => Err(Failure::io("make", path, &error)),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(missing: Vec<Package>) -> Vec<&'static str> {
        missing.into_iter().map(|package| package.name).collect()
    }

    #[test]
    fn a_bare_machine_misses_everything() {
        assert_eq!(missing(&BTreeSet::new(), |_| false).len(), PACKAGES.len());
    }

    #[test]
    fn a_program_from_elsewhere_makes_its_package_unnecessary() {
        let missing = names(missing(&BTreeSet::new(), |_| true));
        assert_eq!(
            missing,
            [
                "netavark",
                "aardvark-dns",
                "python3-paramiko",
                "seabios",
                "linux-image-cloud-amd64",
                "libc6-dev",
                "libssl-dev"
            ]
        );
    }

    #[test]
    fn an_installed_package_is_not_installed_again() {
        let installed = PACKAGES.iter().map(|package| package.name.to_owned()).collect();
        assert!(missing(&installed, |_| false).is_empty());
    }
}
