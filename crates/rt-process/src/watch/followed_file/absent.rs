//! Followed files on systems without inotify: unsupported.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::path::Path;

use rt_protocol::Until;

use super::growth::Growth;
use crate::procfs::ProcessEntry;

#[derive(Debug)]
pub(crate) struct FollowedFile(Infallible);

impl FollowedFile {
    pub(crate) fn open(_path: &Path, _writer: &ProcessEntry) -> io::Result<Option<Self>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn first(&self) -> &File {
        match self.0 {}
    }

    pub(crate) fn begin_at(&mut self, _position: u64) {
        match self.0 {}
    }

    pub(crate) fn read(&mut self, _buffer: &mut [u8], _until: &Until) -> io::Result<Growth> {
        match self.0 {}
    }
}
