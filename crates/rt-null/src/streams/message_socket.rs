//! Message-oriented sockets, which are neither a source nor a sink.

use std::io;
use std::os::fd::AsFd;

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

/// Refuses a datagram or seqpacket socket as a stream of a bridged command, as every backend does: what a read leaves of a
/// message is gone. For runtimes that are built on others.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a message-oriented socket.
pub fn refuse_message_socket(fd: impl AsFd) -> io::Result<()> {
    match socket_type(fd) {
        Ok(kind) if kind != SocketType::STREAM => {
            let message = "the descriptor is a message-oriented socket; only a stream socket will do";
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
        // A stream socket, or none at all.
        _ => Ok(()),
    }
}
