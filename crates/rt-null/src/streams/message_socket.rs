//! Message-oriented sockets, which are rejected as sources and sinks.

use std::io;
use std::os::fd::AsFd;

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

/// Rejects a message-oriented socket (`SOCK_DGRAM`, `SOCK_SEQPACKET`) as a stream of a bridged
/// command, as every backend does. A short read from such a socket discards the rest of the
/// message. For runtimes built on others.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a message-oriented socket.
pub fn refuse_message_socket(fd: impl AsFd) -> io::Result<()> {
    match socket_type(fd) {
        Ok(kind) if kind != SocketType::STREAM => {
            let message = "the descriptor is a message-oriented socket; only a stream socket will do";
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
        // A stream socket, or not a socket.
        _ => Ok(()),
    }
}
