//! The state of a container's user database, to notice changes.

use crate::kernel::{Errno, FileState, file_state};

/// The files of users and groups at one time. A missing file is a state, too.
#[derive(PartialEq, Eq)]
pub(crate) struct UserDatabase([Option<FileState>; 2]);

impl UserDatabase {
    /// Fails if a file cannot be read: its changes could not be noticed.
    pub(crate) fn now() -> Result<Self, Errno> {
        Ok(Self([state(c"/etc/passwd")?, state(c"/etc/group")?]))
    }
}

fn state(path: &core::ffi::CStr) -> Result<Option<FileState>, Errno> {
    match file_state(path) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        state => state.map(Some),
    }
}
