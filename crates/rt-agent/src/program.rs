//! The agent's program, and the descriptor that it is started from.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fchmod, fcntl_add_seals, memfd_create, open};
use rustix::io::{Errno, write};

/// The agent's program: a static executable of about 36 KB for the processor of this build. `None`
/// on processors other than x86-64 and `AArch64`, or if the toolchain could not link it.
pub static PROGRAM: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/agent.rs"));

/// The agent's program in sealed memory, from which every agent is started.
///
/// It cannot be changed any more, not even by a container's root through `/proc/self/exe`. A file
/// of the host could be rewritten that way (CVE-2019-5736).
#[derive(Debug)]
pub struct AgentProgram(OwnedFd);

impl AgentProgram {
    /// Copies [`PROGRAM`] into sealed memory.
    ///
    /// # Errors
    /// [`Unsupported`](io::ErrorKind::Unsupported) if there is no program. Errors of the system:
    /// executing such memory is forbidden (`vm.memfd_noexec`), or too many descriptors are open.
    pub fn new() -> io::Result<Self> {
        let program = PROGRAM.ok_or(io::ErrorKind::Unsupported)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = match memfd_create("rt-agent", flags | MemfdFlags::EXEC) {
            // A kernel before 6.3 does not know the flag, and makes all such memory executable.
            Err(Errno::INVAL) => memfd_create("rt-agent", flags),
            made => made,
        }?;
        let mut rest = program;
        while !rest.is_empty() {
            rest = &rest[write(&memory, rest)?..];
        }
        fchmod(&memory, Mode::from_raw_mode(0o555))?;
        fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        // While a descriptor for writing is open, it cannot be executed (ETXTBSY).
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory));
        Ok(Self(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
    }
}

/// Becomes descriptor 3 of the agent.
impl AsFd for AgentProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
