//! The directory of an isolated podman, from its making to its removal, and the lock by which a
//! later run sees that its maker is gone. What lies in it is the probe's; how it is emptied is
//! `removal`.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::leftovers::Scope;
use super::note::note;
use super::removal;
use crate::failure::{Failure, Result};

/// Directories with this prefix below the directory for temporary files are ours.
const PREFIX: &str = "rt-live-";
const LOCK: &str = "lock";

/// A store that is removed when this value goes.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    podman: PathBuf,
    /// Held while this process lives; the kernel releases it even after SIGKILL.
    lock: Option<File>,
    /// Nobody has to remove it any more.
    settled: bool,
}

impl Store {
    pub(super) fn temporary(podman: &Path) -> Result<Self> {
        // Short: sockets below it have paths of at most 107 bytes.
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir()
            .map_err(|error| Failure::io("make a directory in", &std::env::temp_dir(), &error))?
            // Never removed by tempfile, which would walk into mounts.
            .keep();
        let dir = dir.canonicalize().map_err(|error| Failure::io("resolve", &dir, &error))?;
        let mut store = Self { dir, podman: podman.to_owned(), lock: None, settled: false };
        store.lock = Some(hold(&store.dir)?);
        Ok(store)
    }

    /// In a directory that is new or empty: an error or a signal would remove all of it.
    pub(super) fn at(dir: &Path, podman: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|error| Failure::io("make", dir, &error))?;
        let dir = dir.canonicalize().map_err(|error| Failure::io("resolve", dir, &error))?;
        let mut entries = fs::read_dir(&dir).map_err(|error| Failure::io("read", &dir, &error))?;
        if entries.next().is_some() {
            return Err(Failure::new(format!("{} is not empty", dir.display())));
        }
        Ok(Self { dir, podman: podman.to_owned(), lock: None, settled: false })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes it now.
    pub(super) fn close(mut self) -> Result<()> {
        self.settled = true;
        removal::remove(&self.dir, Some(&self.podman), Scope::All)
    }

    /// Leaves it to `live down`.
    pub(super) fn keep(mut self) {
        self.settled = true;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        note(&format!("removing {}", self.dir.display()));
        if let Err(failure) = removal::remove(&self.dir, Some(&self.podman), Scope::All) {
            note(&failure.to_string());
        }
    }
}

/// Removes the stores of runs that were killed before they could.
pub(super) fn sweep(podman: &Path) {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Some((dir, _lock)) = abandoned(&entry.path()) else { continue };
        note(&format!("removing {}, whose run was killed", dir.display()));
        if let Err(failure) = removal::remove(&dir, Some(podman), Scope::All) {
            note(&failure.to_string());
        }
    }
}

/// The directory with its lock taken, when it is a store of this user's that nobody holds.
fn abandoned(path: &Path) -> Option<(PathBuf, File)> {
    // Anyone may put a link or a directory into /tmp.
    let data = fs::symlink_metadata(path).ok()?;
    if !data.is_dir() || data.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let dir = path.canonicalize().ok()?;
    let lock = File::open(dir.join(LOCK)).ok()?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some((dir, lock))
}

/// The lock appears under its name only when it is held, so that no sweep takes a store that is
/// being made.
fn hold(dir: &Path) -> Result<File> {
    let (early, path) = (dir.join("lock.new"), dir.join(LOCK));
    let file = File::create(&early).map_err(|error| Failure::io("make", &early, &error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| Failure::io("lock", &early, &error.into()))?;
    fs::rename(&early, &path).map_err(|error| Failure::io("make", &path, &error))?;
    Ok(file)
}

/// The path of a store that `live up` made; anything else is refused.
pub(super) fn recognised(dir: &Path) -> Result<PathBuf> {
    let dir = dir.canonicalize().map_err(|error| Failure::io("resolve", dir, &error))?;
    let conf = fs::read_to_string(dir.join("containers.conf")).unwrap_or_default();
    let own = format!("network_config_dir = \"{}\"", dir.join("networks").display());
    if conf.lines().any(|line| line == own) && dir.join("storage.conf").is_file() {
        Ok(dir)
    } else {
        Err(Failure::new(format!("{} is no store of `cargo xtask live up`", dir.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_store_is_not_abandoned_and_a_released_one_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(abandoned(dir.path()).is_none(), "without a lock it is nobody's store");
        let lock = hold(dir.path()).unwrap();
        assert!(abandoned(dir.path()).is_none());
        drop(lock);
        assert!(abandoned(dir.path()).is_some());
    }

    #[test]
    fn a_link_is_never_taken_for_a_store() {
        let dir = tempfile::tempdir().unwrap();
        drop(hold(dir.path()).unwrap());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(abandoned(&link).is_none());
    }

    #[test]
    fn a_directory_with_content_is_never_made_a_store_or_destroyed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("containers.conf"), "mine").unwrap();
        assert!(Store::at(dir.path(), Path::new("/bin/false")).is_err());
        assert!(recognised(dir.path()).is_err());
        assert!(dir.path().join("containers.conf").exists());
    }
}
