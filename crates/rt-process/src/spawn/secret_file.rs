//! Bytes that a process reads from a file which only it can open by that name, and which is on no disk: a pipe, on a descriptor
//! of the process's own.
//!
//! A descriptor can be handed to a child by code between fork(2) and exec(2) alone, which is unsafe code or a crate with
//! four more behind it. Clearing close-on-exec here would hand it to whatever other threads start meanwhile. So the descriptor
//! stays this process's, and a shell that becomes the program opens it anew, as `/proc/PID/fd/N`. It has to be a shell and not
//! the program: a rootless podman is in a user namespace of its own, from which `/proc/PID/fd` is closed.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process;

use rt_protocol::Secret;

use crate::ProcessError;
use crate::io::fd::{CHUNK, set_nonblocking};

/// The shell that opens the file and becomes the program.
pub(crate) const SHELL: &str = "/bin/sh";

/// Reads the file's path as its own name, and the program with its arguments after it. The code is that by which podman tells
/// failures of its own.
pub(crate) const SCRIPT: &str =
    "command exec 3<\"$0\" || { echo 'Error: descriptor 3 cannot be opened' >&2; exit 125; }; exec \"$@\"";

/// The file, for as long as this is kept; what nobody has read is gone with it.
#[derive(Debug)]
pub(crate) struct SecretFile(OwnedFd);

impl SecretFile {
    /// A file with these bytes. They are all in the pipe before anybody reads it, so that no thread is needed that writes.
    pub(crate) fn new(bytes: &Secret) -> Result<Self, ProcessError> {
        let fill = || -> io::Result<OwnedFd> {
            let bytes = bytes.expose().as_encoded_bytes();
            let (ours, mut end) = io::pipe()?;
            #[cfg(target_os = "linux")]
            if bytes.len() > CHUNK {
                rustix::pipe::fcntl_setpipe_size(&end, bytes.len())?;
            }
            set_nonblocking(&end)?;
            end.write_all(bytes)?;
            Ok(ours.into())
        };
        fill().map(Self).map_err(|source| ProcessError::System { what: "fill a pipe with a secret", source })
    }

    /// Where another process of the same user opens it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_more_than_a_pipe_does_by_itself_and_ends() {
        for length in [0, 1, CHUNK + 1, 10 * CHUNK] {
            let file = SecretFile::new(&Secret::new("x".repeat(length))).unwrap();
            assert_eq!(std::fs::read(file.path()).unwrap().len(), length);
        }
    }
}
