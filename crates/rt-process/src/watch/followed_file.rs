//! A file that one process appends to, read as it grows, across its replacements, to that process's end.

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

/// A file that one process, its writer, appends to and may replace by a new one of the same name (log rotation).
///
/// It is read at the pace of its reader: a replaced file is held open and read to its end before the next one. Nothing
/// runs between two reads, so a reader who is away while the file is replaced more than once misses what stood in
/// between, and is [told](Growth::Gap) so.
///
/// Linux only; elsewhere [`open`](Self::open) answers [`Unsupported`](io::ErrorKind::Unsupported).
#[derive(Debug)]
pub struct FollowedFile(imp::FollowedFile);

impl FollowedFile {
    /// Opens the file of a writer that lives; `None` when that one has ended, or another process has its number.
    ///
    /// # Errors
    /// The file cannot be opened, or the system cannot watch it (`/proc/sys/fs/inotify/max_user_instances`).
    pub fn open(path: &Path, writer: &ProcessEntry) -> io::Result<Option<Self>> {
        Ok(imp::FollowedFile::open(path, writer)?.map(Self))
    }

    /// The file as it was opened, for reading at a position. What is read here changes nothing for [`read`](Self::read).
    pub fn first(&self) -> &std::fs::File {
        self.0.first()
    }

    /// Where in that file reading begins, in bytes; for before the first [`read`](Self::read).
    pub fn begin_at(&mut self, position: u64) {
        self.0.begin_at(position);
    }

    /// Reads on, waiting within `until` for what is not there yet. What is there comes also when `until` is over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self, buffer: &mut [u8], until: &Until) -> io::Result<Growth> {
        self.0.read(buffer, until)
    }
}
