//! A descriptor that is looked into without taking from it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;

/// What a tap looks at and what the pipe of a relay holds, in bytes: one page, so that the pipe polls writable only when
/// it is empty (pipe(7)).
pub(crate) const CHUNK_BYTES: usize = 4096;

/// A descriptor that can be looked into.
pub(crate) struct StreamTap {
    pub(crate) fd: OwnedFd,
    way: TapKind,
}

enum TapKind {
    Socket,
    #[cfg(target_os = "linux")]
    Pipe {
        near: OwnedFd,
        far: OwnedFd,
    },
    /// Reads ahead.
    Other,
}

impl StreamTap {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        let kind = file.metadata()?.file_type();
        let way = if kind.is_socket() {
            TapKind::Socket
        } else if kind.is_fifo() {
            Self::pipe()?
        } else {
            TapKind::Other
        };
        Ok(Self { fd: file.into(), way })
    }

    #[cfg(target_os = "linux")]
    fn pipe() -> io::Result<TapKind> {
        let (near, far) = io::pipe()?;
        Ok(TapKind::Pipe { near: near.into(), far: far.into() })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere a pipe is made")]
    fn pipe() -> io::Result<TapKind> {
        Ok(TapKind::Other)
    }

    /// What is next; 0 bytes are the end. `None`: somebody else was faster.
    pub(crate) fn peek(&self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        let peeked = match &self.way {
            TapKind::Socket => {
                let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
                rustix::net::recv(&self.fd, &mut *chunk, flags).map(|(_, count)| count)
            }
            #[cfg(target_os = "linux")]
            TapKind::Pipe { near, far } => {
                let doubled =
                    rustix::pipe::tee(&self.fd, far, chunk.len(), rustix::pipe::SpliceFlags::NONBLOCK);
                doubled.and_then(|count| read_all(near, &mut chunk[..count]).map(|()| count))
            }
            TapKind::Other => rustix::io::read(&self.fd, &mut *chunk),
        };
        match peeked {
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes what was looked at.
    pub(crate) fn take(&self, mut count: usize) -> io::Result<()> {
        if matches!(self.way, TapKind::Other) {
            return Ok(());
        }
        let mut chunk = [0; CHUNK_BYTES];
        while count > 0 {
            // Never blocks: what somebody else has taken meanwhile is gone.
            let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
            if poll(&mut fds, Some(&Timespec::default()))? == 0 {
                return Ok(());
            }
            let wanted = count.min(chunk.len());
            match rustix::io::read(&self.fd, &mut chunk[..wanted]) {
                Ok(0) => return Ok(()),
                Ok(taken) => count -= taken,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn read_all(near: &OwnedFd, mut rest: &mut [u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        match rustix::io::read(near, &mut *rest) {
            Ok(count) => rest = &mut rest[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
