//! Changes in directories, in order: inotify(7) behind safe types. The caller interprets them.
//!
//! The kernel queues the changes, so an entry that was created and removed between two looks is
//! still reported. Linux only; elsewhere [`DirectoryWatch::new`] returns
//! [`Unsupported`](std::io::ErrorKind::Unsupported).

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A set of watched directories and the queue of their changes. Dropping it ends the watch.
#[derive(Debug)]
pub struct DirectoryWatch {
    queue: OwnedFd,
    directories: Vec<(i32, PathBuf)>,
}

/// One change in a watched directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryChange {
    /// An entry was created, or moved there.
    Created {
        /// The watched directory.
        directory: PathBuf,
        /// The entry.
        name: OsString,
    },
    /// A file was closed that had been open for writing.
    Written {
        /// The watched directory.
        directory: PathBuf,
        /// The entry.
        name: OsString,
    },
    /// An entry was removed, or moved away.
    Removed {
        /// The watched directory.
        directory: PathBuf,
        /// The entry.
        name: OsString,
    },
    /// The queue was full, and changes were lost.
    Lost,
}

impl DirectoryWatch {
    /// Creates a watch of no directory.
    ///
    /// # Errors
    /// If the system refuses. By default a user may have 128 of them
    /// (`fs.inotify.max_user_instances`).
    pub fn new() -> io::Result<Self> {
        Ok(Self { queue: imp::open()?, directories: Vec::new() })
    }

    /// Adds a directory to the watch: its own entries, not those below them.
    ///
    /// # Errors
    /// If the directory does not exist, may not be read, or the system has no more watches.
    pub fn add(&mut self, directory: &Path) -> io::Result<()> {
        let number = imp::add(&self.queue, directory)?;
        self.directories.retain(|(known, _)| *known != number);
        self.directories.push((number, directory.to_owned()));
        Ok(())
    }

    /// Returns what has happened, oldest first, without waiting.
    ///
    /// # Errors
    /// If the queue cannot be read.
    pub fn changes(&mut self) -> io::Result<Vec<DirectoryChange>> {
        imp::changes(&self.queue, &self.directories)
    }
}

/// Readable when something has happened.
impl AsFd for DirectoryWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::ffi::{OsStr, OsString};
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use rustix::io::Errno;

    use crate::watch::directory_watch::DirectoryChange;

    pub(crate) fn open() -> io::Result<OwnedFd> {
        Ok(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?)
    }

    pub(crate) fn add(queue: &OwnedFd, directory: &Path) -> io::Result<i32> {
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::ONLYDIR;
        Ok(inotify::add_watch(queue, directory, flags)?)
    }

    pub(crate) fn changes(
        queue: &OwnedFd,
        directories: &[(i32, PathBuf)],
    ) -> io::Result<Vec<DirectoryChange>> {
        let mut changes = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(queue, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(changes),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.push(DirectoryChange::Lost);
                continue;
            }
            let directory = directories.iter().find(|(number, _)| *number == event.wd());
            let (Some((_, directory)), Some(name)) = (directory, event.file_name()) else { continue };
            let (directory, name) = (directory.clone(), OsString::from(OsStr::from_bytes(name.to_bytes())));
            if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                changes.push(DirectoryChange::Created { directory, name });
            } else if flags.contains(ReadFlags::CLOSE_WRITE) {
                changes.push(DirectoryChange::Written { directory, name });
            } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                changes.push(DirectoryChange::Removed { directory, name });
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};

    use crate::watch::directory_watch::DirectoryChange;

    pub(crate) fn open() -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn add(_: &OwnedFd, _: &Path) -> io::Result<i32> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn changes(_: &OwnedFd, _: &[(i32, PathBuf)]) -> io::Result<Vec<DirectoryChange>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_came_and_went_between_two_looks_is_told() {
        let place = tempfile::tempdir().unwrap();
        let mut watch = DirectoryWatch::new().unwrap();
        watch.add(place.path()).unwrap();
        let (file, moved) = (place.path().join("a"), place.path().join("b"));
        fs::write(&file, "x").unwrap();
        fs::rename(&file, &moved).unwrap();
        fs::remove_file(&moved).unwrap();
        let directory = place.path().to_owned();
        let (a, b) = (OsString::from("a"), OsString::from("b"));
        assert_eq!(
            watch.changes().unwrap(),
            [
                DirectoryChange::Created { directory: directory.clone(), name: a.clone() },
                DirectoryChange::Written { directory: directory.clone(), name: a.clone() },
                DirectoryChange::Removed { directory: directory.clone(), name: a },
                DirectoryChange::Created { directory: directory.clone(), name: b.clone() },
                DirectoryChange::Removed { directory, name: b },
            ]
        );
        assert_eq!(watch.changes().unwrap(), []);
    }

    #[test]
    fn a_full_queue_is_told() {
        let place = tempfile::tempdir().unwrap();
        let mut watch = DirectoryWatch::new().unwrap();
        watch.add(place.path()).unwrap();
        let limit: usize =
            fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
        for number in 0..limit {
            let file = place.path().join(number.to_string());
            fs::create_dir(&file).unwrap();
            fs::remove_dir(&file).unwrap();
        }
        assert!(watch.changes().unwrap().contains(&DirectoryChange::Lost));
    }
}
