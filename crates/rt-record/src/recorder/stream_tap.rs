//! Looks at the content of a descriptor without taking from it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;

/// The most bytes that a tap looks at and that the pipe of a relay holds: one page, so that the
/// pipe polls writable only if it is empty (pipe(7)).
pub(crate) const CHUNK_BYTES: usize = 4096;

/// A descriptor whose next bytes can be seen.
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
    /// It is read ahead.
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

    /// Returns what is next; 0 bytes mean the end. `None`: another process read first.
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

    /// Takes the bytes that `peek` returned.
    pub(crate) fn take(&self, mut count: usize) -> io::Result<()> {
        if matches!(self.way, TapKind::Other) {
            return Ok(());
        }
        let mut chunk = [0; CHUNK_BYTES];
        while count > 0 {
            // Never blocks: bytes that another process took meanwhile are gone.
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
