//! A second descriptor of a socket that another process uses. It shows what that process left
//! unread.
//!
//! A socket exists until its last descriptor is closed. So messages that its reader never read are
//! still there after the reader has exited, as long as a copy is held. Linux only; elsewhere
//! [`SocketCopy::of`] returns [`Unsupported`](std::io::ErrorKind::Unsupported).

use std::io;
use std::os::fd::OwnedFd;

#[cfg(not(target_os = "linux"))]
use absent as imp;
#[cfg(target_os = "linux")]
use linux as imp;

/// A copy of a message-oriented socket. While it is held, the peer does not notice that the other
/// holder exits.
#[derive(Debug)]
pub struct SocketCopy {
    socket: OwnedFd,
}

/// What a socket contains that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// A message; it is removed from the socket.
    Message(Vec<u8>),
    /// No message, and none will come: the peer has closed its end.
    End,
    /// No message yet: the peer's end is open.
    Nothing,
}

impl SocketCopy {
    /// Copies the socket that connects this process, or a descendant of it, to a path with this
    /// file name. `None` if there is none (yet).
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if this process lacks the permission
    /// (see ptrace(2)), which a process that is just starting may lift. Other errors of the system.
    pub fn of(pid: u32, file_name: &str) -> io::Result<Option<Self>> {
        Ok(imp::copy(pid, file_name)?.map(|socket| Self { socket }))
    }

    /// Takes the next unread message. Call it only after the other holder has exited, because the
    /// message is removed.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn take_unread(&self) -> io::Result<Unread> {
        imp::take_unread(&self.socket)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::fs;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use rustix::io::Errno;
    use rustix::net::{RecvFlags, SocketAddrUnix, SocketType, getpeername, recv, sockopt};
    use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

    use crate::io::socket_copy::Unread;
    use crate::procfs;

    /// More than the largest message of conmon (8 KiB and a byte).
    const MAX_MESSAGE_BYTES: usize = 64 << 10;

    pub(crate) fn copy(pid: u32, file_name: &str) -> io::Result<Option<OwnedFd>> {
        // One that may not be looked into is no reason to pass over the others: in a user namespace
        // it is mostly another one than the socket's.
        let mut refused = None;
        let mut look = |pid| {
            find_socket(pid, file_name).unwrap_or_else(|error| {
                refused.get_or_insert(error);
                None
            })
        };
        if let Some(socket) = look(pid) {
            return Ok(Some(socket));
        }
        // A rootless podman leaves the work to a child in a user namespace.
        let mut descendants = vec![pid];
        for number in procfs::pids_since(pid)? {
            let parent = procfs::entry(number)?.map(|entry| entry.parent);
            if number == pid || !parent.is_some_and(|parent| descendants.contains(&parent)) {
                continue;
            }
            descendants.push(number);
            if let Some(socket) = look(number) {
                return Ok(Some(socket));
            }
        }
        refused.map_or(Ok(None), Err)
    }

    fn find_socket(pid: u32, file_name: &str) -> io::Result<Option<OwnedFd>> {
        let Some(pidfd) = procfs::open_pidfd(pid)? else { return Ok(None) };
        let descriptors = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(descriptors) => descriptors,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        for descriptor in descriptors.filter_map(Result::ok) {
            let is_socket = fs::read_link(descriptor.path())
                .is_ok_and(|target| target.as_os_str().as_bytes().starts_with(b"socket:"));
            let name = descriptor.file_name();
            let Some(fd) = name.to_str().and_then(|name| name.parse().ok()).filter(|_| is_socket) else {
                continue;
            };
            match pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty()) {
                Ok(socket) if is_connected_to(&socket, file_name) => return Ok(Some(socket)),
                // Closed meanwhile, or gone with the process.
                Ok(_) | Err(Errno::BADF | Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn is_connected_to(socket: &OwnedFd, file_name: &str) -> bool {
        let Ok(SocketType::SEQPACKET) = sockopt::socket_type(socket) else { return false };
        let far_end = getpeername(socket).ok().flatten();
        let far_end = far_end.and_then(|address| SocketAddrUnix::try_from(address).ok());
        let path = far_end.as_ref().and_then(|address| address.path_bytes());
        path.is_some_and(|path| Path::new(OsStr::from_bytes(path)).file_name() == Some(OsStr::new(file_name)))
    }

    pub(crate) fn take_unread(socket: &OwnedFd) -> io::Result<Unread> {
        let mut message = vec![0; MAX_MESSAGE_BYTES];
        loop {
            match recv(socket, &mut message, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(Unread::End),
                Ok((count, _)) => {
                    message.truncate(count);
                    return Ok(Unread::Message(message));
                }
                Err(Errno::AGAIN) => return Ok(Unread::Nothing),
                // Reported once, before the messages that have come: the peer's end was closed with
                // unread data.
                Err(Errno::CONNRESET | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod absent {
    use std::io;
    use std::os::fd::OwnedFd;

    use crate::io::socket_copy::Unread;

    pub(crate) fn copy(_: u32, _: &str) -> io::Result<Option<OwnedFd>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn take_unread(_: &OwnedFd) -> io::Result<Unread> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
