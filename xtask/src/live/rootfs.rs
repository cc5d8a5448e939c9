//! The root file system of the probe: a static busybox, three links and a marker, as a tar for
//! `podman import`. Images for tests are the test suite's own.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::Task;
use crate::failure::{Failure, Result};

/// Read back through an exec: proof that it landed in the container and nowhere else.
pub(super) const MARKER: &str = "/rt-live-marker";

/// Writes `dir/probe.tar`; the marker holds the store's own path.
pub(super) fn archive(dir: &Path, busybox: &Path) -> Result<PathBuf> {
    let root = dir.join("probe");
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        let path = root.join(name);
        fs::create_dir_all(&path).map_err(|error| Failure::io("make", &path, &error))?;
    }
    let program = root.join("bin/busybox");
    fs::copy(busybox, &program).map_err(|error| Failure::io("copy busybox to", &program, &error))?;
    for name in ["sh", "cat", "sleep"] {
        let link = root.join("bin").join(name);
        symlink("busybox", &link).map_err(|error| Failure::io("link", &link, &error))?;
    }
    let marker = root.join(MARKER.trim_start_matches('/'));
    fs::write(&marker, marker_text(dir)).map_err(|error| Failure::io("write", &marker, &error))?;
    let tar = dir.join("probe.tar");
    // Owned by root inside: the ids of an ordinary user need not be mapped.
    let got = Task::new("tar")
        .args(["--owner=0", "--group=0", "--numeric-owner", "-C"])
        .args([root.as_os_str(), "-cf".as_ref(), tar.as_os_str(), ".".as_ref()])
        .limit(Duration::from_secs(60))
        .captured()?;
    if got.status.success() { Ok(tar) } else { Err(Failure::new(format!("tar: {}", got.complaint()))) }
}

pub(super) fn marker_text(dir: &Path) -> String {
    dir.to_string_lossy().into_owned()
}

/// A busybox that needs a loader would not start in an empty root.
pub(super) fn must_be_static(busybox: &Path) -> Result<()> {
    use std::io::Read as _;
    let mut head = Vec::new();
    File::open(busybox)
        .and_then(|file| file.take(64 * 1024).read_to_end(&mut head))
        .map_err(|error| Failure::io("read", busybox, &error))?;
    if needs_loader(&head) {
        let shown = busybox.display();
        return Err(Failure::new(format!("{shown} is linked dynamically (Debian: busybox-static)")));
    }
    Ok(())
}

/// Whether an ELF file of 64 bits, least byte first, has a program header of type INTERP. Of other
/// files nothing is known here; the probe will find out.
fn needs_loader(file: &[u8]) -> bool {
    const INTERP: u32 = 3;
    let word = |at: usize, size: usize| -> Option<u64> {
        let bytes = file.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let (Some(table), Some(size), Some(count)) = (word(0x20, 8), word(0x36, 2), word(0x38, 2)) else {
        return false;
    };
    (0..count).any(|index| {
        let at = table.checked_add(index * size).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| word(at, 4)) == Some(u64::from(INTERP))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        let elf = |kind: u8| {
            let mut file = vec![0; 64 + 56];
            file[..6].copy_from_slice(b"\x7fELF\x02\x01");
            (file[0x20], file[0x36], file[0x38], file[64]) = (64, 56, 1, kind);
            file
        };
        assert!(needs_loader(&elf(3)));
        assert!(!needs_loader(&elf(1)));
        assert!(!needs_loader(b"#!/bin/sh\n") && !needs_loader(b"\x7fELF\x02\x01"));
    }

    #[test]
    fn the_archive_holds_busybox_and_the_marker() {
        let dir = tempfile::tempdir().unwrap();
        let tar = archive(dir.path(), Path::new("/bin/sh")).unwrap();
        let list = Task::new("tar").args(["-tf".as_ref(), tar.as_os_str()]).captured().unwrap().stdout;
        for name in ["./bin/busybox\n", "./bin/sleep\n", "./rt-live-marker\n"] {
            assert!(list.contains(name), "{name} in {list}");
        }
    }
}
