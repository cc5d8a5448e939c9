//! A second descriptor of a socket that another process is connected by: what that process leaves unread can be seen.
//!
//! A socket lives until its last descriptor is closed. So messages that have come, and that their reader never took, are
//! still there when it has exited, as long as a copy is held. Linux only; elsewhere [`SocketCopy::of`] answers
//! [`Unsupported`](std::io::ErrorKind::Unsupported).

use std::io;
use std::os::fd::OwnedFd;

#[cfg(not(target_os = "linux"))]
use absent as imp;
#[cfg(target_os = "linux")]
use linux as imp;

/// A copy of a message-oriented socket. While it is held, the far end does not see the other holder leave.
#[derive(Debug)]
pub struct SocketCopy {
    socket: OwnedFd,
}

/// What a socket holds that nobody has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// A message; it is taken out.
    Message(Vec<u8>),
    /// Nothing, and nothing will come: the far end is closed.
    End,
    /// Nothing yet: the far end is open.
    Nothing,
}

impl SocketCopy {
    /// A copy of the socket by which this process, or one that descends from it, is connected to a path of that file name;
    /// `None` where there is none (yet).
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) where this process must not (see ptrace(2)), others when the
    /// system refuses.
    pub fn of(pid: u32, file_name: &str) -> io::Result<Option<Self>> {
        Ok(imp::copy(pid, file_name)?.map(|socket| Self { socket }))
    }

    /// The next thing that nobody has read. To be called when the other holder has left: it would miss what is taken here.
    ///
    /// # Errors
    /// When the system refuses.
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
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

    use crate::io::socket_copy::Unread;
    use crate::procfs;

    /// More than a message of conmon's (8 KiB and a byte).
    const MAX_MESSAGE_BYTES: usize = 64 << 10;

    pub(crate) fn copy(pid: u32, file_name: &str) -> io::Result<Option<OwnedFd>> {
        if let Some(socket) = find_socket(pid, file_name)? {
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
            if let Some(socket) = find_socket(number, file_name)? {
                return Ok(Some(socket));
            }
        }
        Ok(None)
    }

    fn find_socket(pid: u32, file_name: &str) -> io::Result<Option<OwnedFd>> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
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
                // Closed since, or gone with the process.
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
                // Said once, and before the messages that have come: the far end was closed with something unread in it.
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
