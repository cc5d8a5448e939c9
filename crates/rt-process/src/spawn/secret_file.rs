//! A file of secret bytes for a process, on no disk: a pipe on a descriptor of the process, which
//! is read once, or memory without a name, which is read any number of times.
//!
//! Only code between fork(2) and exec(2) can pass a descriptor to one child, and that needs unsafe
//! code or a crate with four dependencies. Clearing close-on-exec in this process would pass the
//! descriptor to whatever other threads start meanwhile. So the descriptor stays in this process. A
//! shell, which then becomes the program, opens it again as `/proc/PID/fd/N`. The program could not
//! do that itself: a rootless podman is in its own user namespace, from which `/proc/PID/fd` is
//! closed.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process;

use rt_protocol::Secret;

use crate::ProcessError;
use crate::io::fd::{CHUNK, set_nonblocking};
use crate::spawn::spec::FileUse;

/// The shell that opens the file and becomes the program.
pub(crate) const SHELL: &str = "/bin/sh";

/// Takes the file's path as `$0`, and the program with its arguments after it. The exit code is the
/// one that podman uses for its own failures.
pub(crate) const SCRIPT: &str =
    "command exec 3<\"$0\" || { echo 'Error: descriptor 3 cannot be opened' >&2; exit 125; }; exec \"$@\"";

/// The file, while this is kept; unread bytes are lost with it.
#[derive(Debug)]
pub(crate) struct SecretFile(OwnedFd);

impl SecretFile {
    /// Creates a file with these bytes. All bytes of a pipe are in the pipe before it is read, so
    /// no writing thread is needed.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "only Linux has it"))]
    pub(crate) fn new(bytes: &Secret, uses: FileUse) -> Result<Self, ProcessError> {
        #[cfg(target_os = "linux")]
        if uses == FileUse::AnyNumber
            && let Ok(file) = memory(bytes)
        {
            return Ok(Self(file));
        }
        Self::pipe(bytes)
    }

    fn pipe(bytes: &Secret) -> Result<Self, ProcessError> {
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

    /// The path at which another process of the same user opens it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }
}

/// Fills memory that has no name and ends with its last descriptor. Who opens it through `/proc`
/// reads it from its start.
#[cfg(target_os = "linux")]
fn memory(bytes: &Secret) -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let mut file = File::from(memfd_create("secret", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes.expose().as_encoded_bytes())?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_more_than_a_pipe_does_by_itself_and_ends() {
        for length in [0, 1, CHUNK + 1, 10 * CHUNK] {
            let bytes = Secret::new("x".repeat(length));
            let file = SecretFile::new(&bytes, FileUse::Once).unwrap();
            assert_eq!(std::fs::read(file.path()).unwrap().len(), length);
            let file = SecretFile::new(&bytes, FileUse::AnyNumber).unwrap();
            for _ in 0..2 {
                assert_eq!(std::fs::read(file.path()).unwrap().len(), length);
            }
        }
    }
}
