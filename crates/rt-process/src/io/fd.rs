//! Moves bytes through descriptors that are not ours, without blocking on them and without changing
//! their flags.
//!
//! `O_NONBLOCK` belongs to the open file description. The caller, its parent and its other threads
//! may share that, so the flag is never set on a caller's descriptor. The kernel's alternatives
//! depend on the kind: splice(2) and tee(2) for pipes, `MSG_DONTWAIT` for sockets, nothing for
//! files. (splice(2) also helps with files: it takes only as much as a pipe has room for, and
//! copies nothing.)

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use rustix::net::sockopt::socket_type;
use rustix::net::{RecvFlags, SendFlags, SocketType, recv, send};

/// The most that is read at once, in bytes: the default capacity of a pipe on Linux.
pub(crate) const CHUNK: usize = 64 * 1024;

/// The kind of a descriptor, which decides how to move bytes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FdKind {
    /// A pipe or FIFO, on a system with splice(2).
    Pipe,
    /// A stream socket.
    Socket,
    /// A regular file or a block device: reads and writes never wait for another process.
    File,
    /// A terminal, another device, or anything else: ready when poll says so, and then for an
    /// unknown number of bytes.
    Other,
}

impl FdKind {
    /// # Errors
    /// For a message-oriented socket. A short read from one discards the rest of the message, so a
    /// source would silently lose bytes, and an empty message would look like the end. A sink would
    /// split one stream into messages of any length.
    pub(crate) fn of(fd: impl AsFd) -> io::Result<Self> {
        Ok(match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
            FileType::Fifo if cfg!(target_os = "linux") => Self::Pipe,
            FileType::Socket if socket_type(&fd)? == SocketType::STREAM => Self::Socket,
            FileType::Socket => {
                let message = "the descriptor is a message-oriented socket; only a stream socket will do";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            FileType::RegularFile | FileType::BlockDevice => Self::File,
            _ => Self::Other,
        })
    }

    /// Returns whether splice(2) moves its bytes into a pipe.
    pub(crate) fn is_spliced(self) -> bool {
        self == Self::Pipe || (self == Self::File && cfg!(target_os = "linux"))
    }
}

/// The result of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// This many bytes, at least one.
    Bytes(usize),
    /// Nothing can be moved now.
    WouldBlock,
    /// The end of the stream.
    Eof,
}

impl Transfer {
    fn from_read(result: rustix::io::Result<usize>) -> io::Result<Self> {
        match result {
            Ok(0) => Ok(Self::Eof),
            Ok(count) => Ok(Self::Bytes(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Self::WouldBlock),
            Err(error) => Err(error.into()),
        }
    }

    fn from_write(result: rustix::io::Result<usize>) -> io::Result<Self> {
        match Self::from_read(result)? {
            Self::Eof => Err(io::ErrorKind::WriteZero.into()),
            moved => Ok(moved),
        }
    }
}

/// For our own descriptors only.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&fd)?;
    Ok(fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

/// Makes our end of a pipe non-blocking, for the poll loop.
pub(crate) fn nonblocking(end: impl Into<OwnedFd>) -> io::Result<OwnedFd> {
    let end = end.into();
    set_nonblocking(&end)?;
    Ok(end)
}

/// Reads once, into a slice or a vector's spare capacity. `kind` is the kind of the descriptor; a
/// descriptor that is not ours must have been polled.
pub(crate) fn read(
    kind: FdKind,
    fd: impl AsFd,
    buffer: impl Buffer<u8, Output = usize>,
) -> io::Result<Transfer> {
    Transfer::from_read(match kind {
        FdKind::Socket => recv(fd, buffer, RecvFlags::DONTWAIT).map(|(count, _)| count),
        FdKind::Pipe | FdKind::File | FdKind::Other => rustix::io::read(fd, buffer),
    })
}

/// Writes once, to one of our own non-blocking descriptors.
pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<Transfer> {
    Transfer::from_write(rustix::io::write(fd, bytes))
}

/// Sends once, to a caller's socket.
pub(crate) fn send_nonblocking(fd: impl AsFd, bytes: &[u8]) -> io::Result<Transfer> {
    // On systems without this flag, SIGPIPE is ignored as everywhere in this crate.
    #[cfg(target_os = "linux")]
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    #[cfg(not(target_os = "linux"))]
    let flags = SendFlags::DONTWAIT;
    Transfer::from_write(send(fd, bytes, flags))
}

/// Writes everything, to a regular file.
pub(crate) fn write_file(fd: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Moves available bytes from a pipe or a file to a pipe, without blocking on either. It takes no
/// more than `to` has room for, so nothing is read ahead. `WouldBlock` means an empty `from` or a
/// full `to`.
#[cfg(target_os = "linux")]
pub(crate) fn splice(from: impl AsFd, to: impl AsFd) -> io::Result<Transfer> {
    use rustix::pipe::SpliceFlags;
    Transfer::from_read(rustix::pipe::splice(from, None, to, None, 16 * CHUNK, SpliceFlags::NONBLOCK))
}

/// Copies available bytes from pipe to pipe as [`splice`] does, and leaves them in `from`.
#[cfg(target_os = "linux")]
pub(crate) fn tee(from: impl AsFd, to: impl AsFd) -> io::Result<Transfer> {
    use rustix::pipe::SpliceFlags;
    Transfer::from_read(rustix::pipe::tee(from, to, CHUNK, SpliceFlags::NONBLOCK))
}

/// Without splice, no descriptor is a [`FdKind::Pipe`].
#[cfg(not(target_os = "linux"))]
pub(crate) fn splice(_from: impl AsFd, _to: impl AsFd) -> io::Result<Transfer> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) use splice as tee;

/// Returns how many bytes an empty pipe accepts for certain; `PIPE_BUF` if the system does not
/// report it.
pub(crate) fn pipe_capacity(pipe: impl AsFd) -> usize {
    #[cfg(target_os = "linux")]
    let asked = rustix::pipe::fcntl_getpipe_size(pipe).unwrap_or(0);
    #[cfg(not(target_os = "linux"))]
    let asked = {
        drop(pipe);
        0
    };
    asked.max(rustix::pipe::PIPE_BUF)
}

/// Enlarges one of our pipes to `bytes`. If the system refuses (`pipe-max-size`,
/// `pipe-user-pages-soft`), tries half of it, and so on. A pipe with a larger capacity is left
/// unchanged.
pub(crate) fn grow_pipe(pipe: impl AsFd, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        let halves = std::iter::successors(Some(bytes), |bytes| Some(bytes / 2));
        let wider = halves.take_while(|bytes| *bytes > pipe_capacity(&pipe));
        for bytes in wider {
            if rustix::pipe::fcntl_setpipe_size(&pipe, bytes).is_ok() {
                return;
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    drop((pipe, bytes));
}

/// A writer for a thread. It blocks until everything is written, even if the owner made the
/// descriptor non-blocking.
#[derive(Debug)]
pub(crate) struct BlockingWriter(File);

impl BlockingWriter {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(File::from(fd))
    }
}

impl Write for BlockingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
