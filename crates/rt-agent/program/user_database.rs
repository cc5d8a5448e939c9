//! What a container says of its users, as far as it can be told whether it has changed.

use crate::kernel::{Errno, FileState, file_state};

/// The files of users and groups at one time; a file that is not there is a state, too.
#[derive(PartialEq, Eq)]
pub(crate) struct UserDatabase([Result<FileState, Errno>; 2]);

impl UserDatabase {
    pub(crate) fn now() -> Self {
        Self([file_state(c"/etc/passwd"), file_state(c"/etc/group")])
    }
}
