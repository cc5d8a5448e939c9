//! One attempt at one condition of readiness: a command, a TCP port, a health check.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::{
    Container, Error, ErrorKind, ExecRequest, ExitOutcome, Health, PublishedPort, ReadyWhen, Result,
    TransportProtocol, Until,
};

/// The operation in errors.
pub(super) const OPERATION: &str = "await the readiness of";

/// What an attempt found that met its condition.
pub(super) enum ProbeSuccess {
    Line(String),
    Address(SocketAddr),
    Plain,
}

/// The result of one attempt: success, or what was found instead.
pub(super) type ProbeResult = std::result::Result<ProbeSuccess, String>;

pub(super) fn probe_exec(
    container: &dyn Container,
    request: &ExecRequest,
    until: &Until,
) -> Result<ProbeResult> {
    match container.exec(request, &until.clone().or_after(ReadyWhen::EXEC_LIMIT)) {
        Ok(result) if result.success() => Ok(Ok(ProbeSuccess::Plain)),
        Ok(result) => Ok(Err(result.outcome.to_string())),
        Err(error) => failed_attempt(error),
    }
}

pub(super) fn probe_reachable(container: &dyn Container, until: &Until) -> Result<ProbeResult> {
    let request = ExecRequest::new(["true"])?;
    match container.exec(&request, &until.clone().or_after(ReadyWhen::EXEC_LIMIT)) {
        Ok(result) if result.outcome == ExitOutcome::Lost => Ok(Err(result.outcome.to_string())),
        Ok(_) => Ok(Ok(ProbeSuccess::Plain)),
        // The search for the program took place in the container.
        Err(error)
            if matches!(error.kind(), ErrorKind::CommandNotFound | ErrorKind::CommandNotExecutable) =>
        {
            Ok(Ok(ProbeSuccess::Plain))
        }
        Err(error) => failed_attempt(error),
    }
}

/// Returns the result of an attempt whose command returned an error.
fn failed_attempt(error: Error) -> Result<ProbeResult> {
    match error.kind() {
        // Waiting fixes none of these.
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::BackendMissing
        | ErrorKind::BackendNotExecutable
        | ErrorKind::HostKeyMismatch
        | ErrorKind::BadIdentity
        | ErrorKind::AuthenticationRefused
        | ErrorKind::FeatureDisabled => Err(error),
        // Including a command that is not found: a container that starts may still create it.
        kind => Ok(Err(kind.to_string())),
    }
}

pub(super) fn probe_port(ports: &[PublishedPort], container_port: u16, until: &Until) -> ProbeResult {
    let mut failure = String::from("not published");
    let published = |port: &&PublishedPort| {
        port.container_port == container_port
            && port.protocol == TransportProtocol::Tcp
            && port.host_port != 0
    };
    for port in ports.iter().filter(published) {
        let address = SocketAddr::new(connect_address(port.host_ip), port.host_port);
        match connect(address, until) {
            Ok(()) => return Ok(ProbeSuccess::Address(address)),
            Err(error) => failure = format!("{address}: {error}"),
        }
    }
    Err(failure)
}

/// Returns the address to connect to: loopback for a port that is bound to all addresses.
fn connect_address(bound: Option<IpAddr>) -> IpAddr {
    match bound {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(address) => address,
    }
}

fn connect(address: SocketAddr, until: &Until) -> io::Result<()> {
    let left = until.remaining().unwrap_or(ReadyWhen::CONNECT_LIMIT);
    // The standard library rejects a timeout of zero.
    let limit = left.clamp(Duration::from_millis(1), ReadyWhen::CONNECT_LIMIT);
    let stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(ReadyWhen::HANG_UP_LIMIT))?;
    match stream.peek(&mut [0]) {
        Ok(0) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "it accepts and hangs up")),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn probe_health(health: Option<&Health>) -> Result<ProbeResult> {
    match health {
        Some(Health::Healthy) => Ok(Ok(ProbeSuccess::Plain)),
        Some(Health::Starting) => Ok(Err(String::from("starting"))),
        Some(Health::Unhealthy) => Ok(Err(String::from("unhealthy"))),
        Some(Health::Other(word)) => Ok(Err(word.clone())),
        None => Err(Error::new(ErrorKind::InvalidRequest, OPERATION, "it has no health check")
            .with_hint("give it one, or wait for something else")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn published(listener: &TcpListener) -> PublishedPort {
        let address = listener.local_addr().unwrap();
        PublishedPort::new(80, TransportProtocol::Tcp, Some(Ipv4Addr::UNSPECIFIED.into()), address.port())
    }

    #[test]
    fn a_port_that_is_listened_on_answers_silent_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [published(&listener)];
        assert!(probe_port(&ports, 80, &Until::forever()).is_ok());
        let greeter = std::thread::spawn(move || {
            listener.accept().unwrap();
            listener.accept().unwrap().0.write_all(b"220 hello").unwrap();
        });
        assert!(probe_port(&ports, 80, &Until::forever()).is_ok());
        greeter.join().unwrap();
    }

    #[test]
    fn a_port_that_accepts_and_hangs_up_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [published(&listener)];
        let closer = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let seen = probe_port(&ports, 80, &Until::forever()).err().unwrap();
        assert!(seen.contains("hangs up") || seen.contains("reset"), "{seen}");
        closer.join().unwrap();
    }

    #[test]
    fn a_port_that_is_closed_or_not_published_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [published(&listener)];
        drop(listener);
        assert!(probe_port(&ports, 80, &Until::forever()).err().unwrap().contains("refused"));
        assert_eq!(probe_port(&ports, 81, &Until::forever()).err().unwrap(), "not published");
        assert_eq!(probe_port(&[], 80, &Until::forever()).err().unwrap(), "not published");
    }
}
