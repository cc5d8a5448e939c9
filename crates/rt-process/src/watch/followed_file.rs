//! Follows a file that one process appends to, across replacements, until that process ends.

use std::io;
use std::path::Path;

use rt_protocol::Until;

use crate::procfs::ProcessEntry;

mod growth;
#[cfg(target_os = "linux")]
mod inotify;
#[cfg(target_os = "linux")]
use inotify as imp;
#[cfg(not(target_os = "linux"))]
mod absent;
#[cfg(not(target_os = "linux"))]
use absent as imp;

pub use growth::Growth;

/// A file that one process, its writer, appends to and may replace by a new file with the same name
/// (log rotation).
///
/// It is read at the pace of its reader: a replaced file is held open and read to its end before
/// the next one. Nothing runs between two reads. If the file is replaced more than once between two
/// reads, the contents in between are missed, and [`Growth::Gap`] reports it.
///
/// Linux only; elsewhere [`open`](Self::open) returns [`Unsupported`](io::ErrorKind::Unsupported).
#[derive(Debug)]
pub struct FollowedFile(imp::FollowedFile);

impl FollowedFile {
    /// Opens the file of a living writer; `None` if the writer has ended, or another process has
    /// its number.
    ///
    /// # Errors
    /// If the file cannot be opened, or the system cannot watch it
    /// (`/proc/sys/fs/inotify/max_user_instances`).
    pub fn open(path: &Path, writer: &ProcessEntry) -> io::Result<Option<Self>> {
        Ok(imp::FollowedFile::open(path, writer)?.map(Self))
    }

    /// Returns the file as it was opened, to read at a position. Such reads do not affect
    /// [`read`](Self::read).
    pub fn first(&self) -> &std::fs::File {
        self.0.first()
    }

    /// Sets the position in that file where reading begins, in bytes. Call it before the first
    /// [`read`](Self::read).
    pub fn begin_at(&mut self, position: u64) {
        self.0.begin_at(position);
    }

    /// Reads on, and waits up to `until` for more. Bytes that are already there are returned even
    /// if `until` has ended.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self, buffer: &mut [u8], until: &Until) -> io::Result<Growth> {
        self.0.read(buffer, until)
    }
}
