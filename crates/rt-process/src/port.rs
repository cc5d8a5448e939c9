//! A TCP port that is bound and not listening, reserved for a later listener.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rt_protocol::PortReservation;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

/// A TCP port that is bound and not listening. The kernel gives it to no other socket, and
/// connections to it are refused.
///
/// Two reservations on one address never have the same port at once. Dropping it does the same as
/// [`close`](PortReservation::close).
#[derive(Debug)]
pub struct TcpPortReservation {
    socket: Option<OwnedFd>,
    address: SocketAddr,
}

impl TcpPortReservation {
    /// Binds a free port of `host`, chosen by the kernel from its ephemeral range.
    ///
    /// # Errors
    /// Errors of the system: no free port, `host` is not an address of this machine, or too many
    /// descriptors.
    pub fn reserve(host: IpAddr) -> io::Result<Self> {
        let family = if host.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = stream_socket(family)?;
        // SO_REUSEADDR stays off: with it, the kernel may give one port to two sockets that do not
        // listen.
        bind(&socket, &SocketAddr::new(host, 0))?;
        let address = SocketAddr::try_from(getsockname(&socket)?)?;
        Ok(Self { socket: Some(socket), address })
    }
}

#[cfg(target_os = "linux")]
fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Not every Unix can set the flag in the same call. A process that is started in between inherits
/// the socket.
#[cfg(not(target_os = "linux"))]
fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::empty(), None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

impl PortReservation for TcpPortReservation {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn close(&mut self) -> rt_protocol::Result<()> {
        self.socket = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn held_reservations_never_share_a_port() {
        let held: Vec<_> =
            (0..200).map(|_| TcpPortReservation::reserve(Ipv4Addr::LOCALHOST.into()).unwrap()).collect();
        let ports: BTreeSet<u16> = held.iter().map(PortReservation::port).collect();
        assert_eq!(ports.len(), held.len());
        assert!(!ports.contains(&0));
    }

    #[test]
    fn a_reserved_port_refuses_connections_until_it_is_closed() {
        for host in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let mut held = match TcpPortReservation::reserve(host) {
                Ok(held) => held,
                // A machine without IPv6 has no such address.
                Err(_) if host.is_ipv6() => continue,
                Err(refused) => panic!("{refused}"),
            };
            let address = held.address();
            assert_eq!(address.ip(), host);
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(TcpListener::bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
            held.close().unwrap();
            held.close().unwrap();
            TcpListener::bind(address).unwrap();
        }
    }
}
