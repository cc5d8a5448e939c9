//! Finds the configuration with which containers really run on this host. A mode counts only when a
//! container runs and an exec reads the marker inside it; no file's presence and no exit code alone
//! is proof.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::containers_conf::{WRAPPER, containers_conf, crun_wrapper, storage_conf};
use super::mode::{Host, Mode};
use super::note::note;
use super::podman::Podman;
use super::{network, removal, rootfs};
use crate::failure::{Failure, Result};
use crate::interrupt;

const IMAGE: &str = "localhost/rt-live-probe:latest";
const CONTAINER: &str = "rt-live-probe";

/// Directories that podman fills, and that start anew when the storage driver changes.
const FILLED: [&str; 3] = ["root", "run", "tmp"];

/// Writes the configuration into the store at `dir` and leaves it with the first mode that works.
pub(super) fn find(dir: &Path, podman: &Podman, busybox: &Path) -> Result<Mode> {
    let mut host = Host::look();
    lay_out(dir, &host)?;
    let tar = rootfs::archive(dir, busybox)?;
    // Even the version is told only with configuration files in place.
    configure(dir, Mode::Native, &host, "overlay")?;
    host.rootless_storage_path &= podman.major_version()? < 6;
    let driver = storage_driver(dir, podman, &host, &tar)?;
    let mode = first_mode(dir, podman, &host, driver)?;
    // The tests begin with an empty store.
    podman.ask(&["rmi", "--force", IMAGE])?;
    Ok(mode)
}

fn lay_out(dir: &Path, host: &Host) -> Result<()> {
    for name in FILLED.into_iter().chain(["bin", "volumes", "networks", "xdg"]) {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(|error| Failure::io("make", &path, &error))?;
    }
    mode_bits(&dir.join("xdg"), 0o700)?;
    let file = format!("networks/{}.json", network::name(dir));
    write(&dir.join(file), &network::definition(dir))?;
    if let Some(crun) = &host.crun {
        write(&dir.join(WRAPPER), &crun_wrapper(crun))?;
        mode_bits(&dir.join(WRAPPER), 0o755)?;
    }
    Ok(())
}

/// overlay where it can be mounted, else vfs: slow and large, but it needs nothing of the kernel.
fn storage_driver(dir: &Path, podman: &Podman, host: &Host, tar: &Path) -> Result<&'static str> {
    let mut reasons = Vec::new();
    for driver in ["overlay", "vfs"] {
        configure(dir, Mode::Native, host, driver)?;
        let file = File::open(tar).map_err(|error| Failure::io("open", tar, &error))?;
        let words = ["import", "--quiet", "--change", "CMD [\"/bin/sh\"]", "-", IMAGE];
        // An import mounts what it makes: `podman info` alone would not notice a driver that
        // cannot.
        match podman.feed(&words, file) {
            Ok(_) => return Ok(driver),
            Err(failure) => reasons.push(format!("{driver}: {failure}")),
        }
        stop_if_interrupted()?;
        note(&format!("storage driver {}", reasons.last().map_or("", String::as_str)));
        for name in FILLED {
            removal::empty(&dir.join(name))?;
        }
    }
    Err(Failure::new(format!("no storage driver works ({})", reasons.join("; "))))
}

fn first_mode(dir: &Path, podman: &Podman, host: &Host, driver: &str) -> Result<Mode> {
    let mut reasons = Vec::new();
    for mode in Mode::ALL {
        if let Some(reason) = mode.impossible(host) {
            reasons.push(format!("{}: {reason}", mode.name()));
            continue;
        }
        // Some seconds pass before it is known to work.
        note(&format!("trying a container, mode {}", mode.name()));
        configure(dir, mode, host, driver)?;
        let answer = try_mode(dir, podman);
        let removed = podman.ask(&["rm", "--force", "--time", "0", "--ignore", CONTAINER]);
        match answer.and(removed) {
            Ok(_) => return Ok(mode),
            Err(failure) => reasons.push(format!("{}: {}", mode.name(), failure.one_line())),
        }
        stop_if_interrupted()?;
        note(&format!("mode {}", reasons.last().map_or("", String::as_str)));
    }
    Err(Failure::new(format!("containers do not run here ({})", reasons.join("; "))))
}

fn try_mode(dir: &Path, podman: &Podman) -> Result<()> {
    podman.ask(&["run", "--detach", "--name", CONTAINER, "--network", "none", IMAGE, "sleep", "60"])?;
    let text = podman.ask(&["exec", CONTAINER, "cat", rootfs::MARKER])?;
    if text == rootfs::marker_text(dir) {
        Ok(())
    } else {
        Err(Failure::new("an exec did not land in its container"))
    }
}

fn configure(dir: &Path, mode: Mode, host: &Host, driver: &str) -> Result<()> {
    write(&dir.join("storage.conf"), &storage_conf(dir, driver, host))?;
    write(&dir.join("containers.conf"), &containers_conf(dir, mode, host))
}

/// A signal ended the last call: the other modes would all "fail" in the same way.
fn stop_if_interrupted() -> Result<()> {
    if interrupt::signal().is_some() { Err(Failure::new("interrupted")) } else { Ok(()) }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Failure::io("write", path, &error))
}

fn mode_bits(path: &Path, bits: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
        .map_err(|error| Failure::io("set the mode of", path, &error))
}
