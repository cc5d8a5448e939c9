//! Makes a TCP connection to an endpoint without blocking longer than its deadline allows.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rt_protocol::sync::Waker;
use rt_protocol::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::TcpEndpoint;

/// The deadline of the work before the first command, and a way to cancel it.
pub(crate) struct Watch<'a> {
    /// Wakes the thread when it may have been cancelled.
    pub(crate) waker: &'a Waker,
    /// The deadline.
    pub(crate) deadline: Instant,
    /// Returns whether no caller waits for it any more.
    pub(crate) is_called_off: &'a dyn Fn() -> bool,
}

impl Watch<'_> {
    /// Waits until `fd` is ready for `flags`.
    ///
    /// # Errors
    /// `Unreachable` if the time is over, with `what` it was spent on; `Cancelled` if it was
    /// cancelled.
    pub(crate) fn wait(&self, fd: impl AsFd, flags: PollFlags, what: &'static str) -> Result<()> {
        self.wait_at_most(fd, flags, what, None)
    }

    /// The same, or until the given time.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub(crate) fn wait_at_most(
        &self,
        fd: impl AsFd,
        flags: PollFlags,
        what: &'static str,
        wake_at: Option<Instant>,
    ) -> Result<()> {
        loop {
            if (self.is_called_off)() {
                return Err(Error::new(ErrorKind::Cancelled, OPERATION, "nobody waits for it any more"));
            }
            let now = Instant::now();
            let mut left = self.deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Err(unreachable(format!("{what} took too long")));
            }
            if let Some(wake_at) = wake_at {
                left = left.min(wake_at.saturating_duration_since(now));
                if left.is_zero() {
                    return Ok(());
                }
            }
            let mut fds = [PollFd::new(&fd, flags), PollFd::new(self.waker, PollFlags::IN)];
            match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
                Ok(_) if !fds[0].revents().is_empty() => return Ok(()),
                Ok(_) if !fds[1].revents().is_empty() => self.waker.drain(),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    return Err(unreachable("waiting for it failed").with_source(io::Error::from(error)));
                }
            }
        }
    }
}

const OPERATION: &str = "connect to";

/// Returns the error for a guest that cannot be entered.
pub(crate) fn unreachable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unreachable, OPERATION, message)
        .with_hint("see whether the guest runs and its sshd listens; wait_until_reachable waits for that")
}

/// Connects to the first address of the endpoint that answers.
pub(crate) fn open(endpoint: &TcpEndpoint, watch: &Watch<'_>) -> Result<TcpStream> {
    let addresses = match endpoint.addresses() {
        Some(addresses) => addresses,
        // Only for hosts that the caller has allowed beyond loopback. The system's resolver has
        // limits of its own, and cannot be cancelled.
        None => (endpoint.host().as_str(), endpoint.port())
            .to_socket_addrs()
            .map_err(|cause| unreachable(format!("{} has no address", endpoint.host())).with_source(cause))?
            .collect(),
    };
    let mut last = unreachable(format!("{} has no address", endpoint.host()));
    for address in addresses {
        match open_address(address, watch) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn open_address(address: SocketAddr, watch: &Watch<'_>) -> Result<TcpStream> {
    let refused = |error: Errno| {
        let cause = io::Error::from(error);
        unreachable(format!("{address}: {}", cause.kind())).with_source(cause)
    };
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(family, SocketType::STREAM, flags, None).map_err(refused)?;
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => {
            watch.wait(&socket, PollFlags::OUT, "the TCP connection")?;
            sockopt::socket_error(&socket).map_err(refused)?.map_err(refused)?;
        }
        Err(error) => return Err(refused(error)),
    }
    // Without it, every exchange waits for a delayed acknowledgement: 44 ms for a command instead
    // of 2.
    sockopt::set_tcp_nodelay(&socket, true).map_err(refused)?;
    Ok(TcpStream::from(socket))
}
