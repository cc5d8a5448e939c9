//! Reserved ports: bound on the host and not listening. The only part of this crate that affects
//! anything outside the process, except copies.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rt_protocol::{Error, ErrorKind, PortReservation, Result};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, ipproto, socket};

/// A TCP port that is held until closed.
pub(crate) struct NullPortReservation {
    address: SocketAddr,
    socket: Option<OwnedFd>,
}

impl NullPortReservation {
    /// Lets the system pick a free port of the address.
    pub(crate) fn bind(host: IpAddr) -> Result<Self> {
        let (socket, address) = bound_socket(host).map_err(|error| {
            Error::new(ErrorKind::System, "reserve a port", "")
                .with_subject(format!("on {host}"))
                .with_source(error)
                .with_hint("give an address of this host")
        })?;
        Ok(Self { address, socket: Some(socket) })
    }
}

fn bound_socket(host: IpAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    let family = if host.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, Some(ipproto::TCP))?;
    // Set separately, because not every Unix can do it when it creates the socket. If another
    // thread forks in between, its child inherits a port, and nothing more.
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    bind(&socket, &SocketAddr::new(host, 0))?;
    let address = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, address))
}

impl PortReservation for NullPortReservation {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn close(&mut self) -> Result<()> {
        self.socket = None;
        Ok(())
    }
}

impl fmt::Debug for NullPortReservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NullPortReservation")
            .field("address", &self.address)
            .field("held", &self.socket.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

    use super::*;

    #[test]
    fn ports_are_held_apart_and_nobody_listens() {
        let held: Vec<_> =
            (0..50).map(|_| NullPortReservation::bind(Ipv4Addr::LOCALHOST.into()).unwrap()).collect();
        let ports: BTreeSet<u16> = held.iter().map(PortReservation::port).collect();
        assert_eq!(ports.len(), 50);
        assert!(TcpStream::connect(held[0].address()).is_err());
    }

    #[test]
    fn a_closed_port_is_free_again() {
        let mut held = NullPortReservation::bind(Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(std::net::TcpListener::bind(held.address()).is_err());
        held.close().unwrap();
        held.close().unwrap();
        std::net::TcpListener::bind(held.address()).unwrap();
    }

    #[test]
    fn another_hosts_address_is_refused() {
        let error = NullPortReservation::bind("192.0.2.1".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::System);
        // A host without IPv6 returns an error; one with it holds the port.
        if let Ok(held) = NullPortReservation::bind(Ipv6Addr::LOCALHOST.into()) {
            assert!(held.address().is_ipv6());
        }
    }
}
