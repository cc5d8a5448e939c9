//! What the agent keeps for its supervisors and their commands.

use core::ffi::CStr;

use crate::kernel::{Fd, Strings};
use crate::user_database::UserDatabase;

/// What the commands inherit from the container.
pub(crate) struct Inherited {
    pub(crate) environment: Strings,
    /// Kept as a path, so that a directory that was removed and created again is found.
    pub(crate) workdir: &'static CStr,
    pub(crate) users: UserDatabase,
    /// A pipe. Each supervisor holds the write end, so the read end hangs up with the last of them.
    pub(crate) life: [Fd; 2],
}
