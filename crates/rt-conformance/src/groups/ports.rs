//! Ports: reservations on the host.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use rt_protocol::Capability;

use crate::threads::joined;
use crate::{Case, Failure, Group, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Ports, run).can(&[Capability::ReservePort])
}

pub(super) const CASES: &[Case] = &[
    fact("ports: a reservation is a port of the address that was asked for", address),
    fact("ports: many at once are all different", different),
    fact("ports: from many threads they are all different", different_from_threads),
    fact("ports: nobody else can bind one that is held", held),
    fact("ports: nobody listens on one that is held", silent),
    fact("ports: closing frees it, and twice is fine", closed),
    fact("ports: dropping frees it", dropped),
    fact("ports: IPv6 loopback works", ipv6),
    fact("ports: an address of another host is an error", foreign),
];

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn address(context: &TestContext<'_>) -> Verdict {
    let reservation = context.runtime().reserve_port(LOOPBACK)?;
    ensure_eq!(reservation.address().ip(), LOOPBACK, "the address")?;
    ensure!(reservation.port() != 0, "the port is 0")?;
    ensure_eq!(reservation.address().port(), reservation.port(), "the port of the address")
}

fn different(context: &TestContext<'_>) -> Verdict {
    let held = (0..64).map(|_| context.runtime().reserve_port(LOOPBACK)).collect::<Result<Vec<_>, _>>()?;
    let ports: BTreeSet<u16> = held.iter().map(|reservation| reservation.port()).collect();
    ensure_eq!(ports.len(), held.len(), "how many of the ports are different")
}

fn different_from_threads(context: &TestContext<'_>) -> Verdict {
    let reserve = || (0..8).map(|_| context.runtime().reserve_port(LOOPBACK)).collect::<Result<Vec<_>, _>>();
    let held = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(reserve)).collect();
        threads.into_iter().map(joined).collect::<Result<Vec<_>, _>>()
    })?;
    let ports: BTreeSet<u16> = held.iter().flatten().map(|reservation| reservation.port()).collect();
    ensure_eq!(ports.len(), 64, "how many of the ports are different")
}

fn held(context: &TestContext<'_>) -> Verdict {
    let reservation = context.runtime().reserve_port(LOOPBACK)?;
    let bound = TcpListener::bind(reservation.address());
    let kind = bound.as_ref().err().map(io::Error::kind);
    ensure_eq!(kind, Some(io::ErrorKind::AddrInUse), "what binding a held port answers")
}

fn silent(context: &TestContext<'_>) -> Verdict {
    let reservation = context.runtime().reserve_port(LOOPBACK)?;
    let kind = TcpStream::connect(reservation.address()).err().map(|error| error.kind());
    ensure_eq!(kind, Some(io::ErrorKind::ConnectionRefused), "what connecting to a held port answers")
}

/// Binds a port that should be free. There is a small chance that another process got the port in
/// between; then another port is tried.
fn becomes_free(free: impl Fn() -> Result<SocketAddr, Failure>) -> Verdict {
    let mut last = None;
    for _ in 0..3 {
        match TcpListener::bind(free()?) {
            Ok(_) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    Err(Failure::new(format!("three freed ports could not be bound: {last:?}")))
}

fn closed(context: &TestContext<'_>) -> Verdict {
    becomes_free(|| {
        let mut reservation = context.runtime().reserve_port(LOOPBACK)?;
        let address = reservation.address();
        reservation.close()?;
        reservation.close()?;
        Ok(address)
    })
}

fn dropped(context: &TestContext<'_>) -> Verdict {
    becomes_free(|| Ok(context.runtime().reserve_port(LOOPBACK)?.address()))
}

fn ipv6(context: &TestContext<'_>) -> Verdict {
    let loopback = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if let Err(error) = TcpListener::bind((loopback, 0)) {
        return Err(Failure::skip(format!("this host has no IPv6 loopback: {error}")));
    }
    let reservation = context.runtime().reserve_port(loopback)?;
    ensure_eq!(reservation.address().ip(), loopback, "the address")
}

fn foreign(context: &TestContext<'_>) -> Verdict {
    // A documentation address (RFC 5737); no host has it.
    let answer = context.runtime().reserve_port(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    ensure!(answer.is_err(), "a port of a foreign address was reserved: {answer:?}")
}
