//! Finds the endpoint of a guest's sshd: the trait, and the resolver that asks podman.

use std::fmt;

use rt_podman::PodmanRuntime;
use rt_protocol::{Container, ContainerName, Error, ErrorKind, InvalidValue, Result, Until};

use crate::endpoint::{DEFAULT_GUEST_SSHD_PORT, DEFAULT_SSH_HOST, TcpEndpoint, parse_port};

/// Finds the endpoint of a guest's sshd.
///
/// Any `Fn(&dyn Container) -> Result<TcpEndpoint>` implements it; [`PodmanPortResolver`] is the
/// usual resolver. It is called when a connection is made, not for a command on a kept connection.
pub trait EndpointResolver: Send + Sync {
    /// Returns the endpoint of this container's guest. The handle is podman's: its `exec` does not
    /// enter the guest.
    ///
    /// # Errors
    /// If the guest has no endpoint or it cannot be found. The error should name the container and
    /// give a hint.
    fn resolve(&self, container: &dyn Container) -> Result<TcpEndpoint>;
}

impl<F> EndpointResolver for F
where
    F: Fn(&dyn Container) -> Result<TcpEndpoint> + Send + Sync,
{
    fn resolve(&self, container: &dyn Container) -> Result<TcpEndpoint> {
        self(container)
    }
}

impl fmt::Debug for dyn EndpointResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointResolver")
    }
}

/// Asks `podman port` for the host port of the guest's sshd, within
/// [`TimeLimits::port`](rt_protocol::TimeLimits::port) (5 s).
///
/// Of several mappings, the first is used. The host address that podman prints is ignored on
/// purpose: a port that is bound to 0.0.0.0 can also be reached on loopback, which is safer.
#[derive(Clone, Debug)]
pub struct PodmanPortResolver {
    podman: PodmanRuntime,
    guest_port: u16,
    host: String,
}

impl PodmanPortResolver {
    /// Creates a resolver for [`DEFAULT_GUEST_SSHD_PORT`], forwarded to [`DEFAULT_SSH_HOST`].
    pub fn new(podman: PodmanRuntime) -> Self {
        Self { podman, guest_port: DEFAULT_GUEST_SSHD_PORT, host: DEFAULT_SSH_HOST.to_owned() }
    }

    /// Sets the port on which the guest's sshd listens.
    ///
    /// # Errors
    /// Port 0.
    pub fn guest_port(self, port: u16) -> std::result::Result<Self, InvalidValue> {
        // The endpoint checks the port.
        TcpEndpoint::on_loopback(port)?;
        Ok(Self { guest_port: port, ..self })
    }

    /// Sets the loopback host on which the forwarded ports are reached.
    ///
    /// # Errors
    /// A host that is not a loopback host.
    pub fn host(self, host: &str) -> std::result::Result<Self, InvalidValue> {
        TcpEndpoint::new(host, self.guest_port)?;
        Ok(Self { host: host.to_owned(), ..self })
    }
}

impl EndpointResolver for PodmanPortResolver {
    fn resolve(&self, container: &dyn Container) -> Result<TcpEndpoint> {
        let name = &container.key().name;
        let text = self
            .podman
            .port_text(name, self.guest_port, &Until::forever())
            .map_err(|error| EndpointError::of_podman(error, name, self.guest_port))?;
        let port = forwarded_port(&text).map_err(|refused| refused.with_container(name, self.guest_port))?;
        Ok(TcpEndpoint::new(&self.host, port)?)
    }
}

/// Why a guest's endpoint could not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndpointError {
    NoMapping,
    UnreadableLine,
    BadPort,
}

impl EndpointError {
    fn with_container(self, name: &ContainerName, guest_port: u16) -> Error {
        const OPERATION: &str = "find the SSH port of";
        const SEE_MAPPING: &str = "see what `podman port` prints for it";
        let (kind, message, hint) = match self {
            Self::NoMapping => (
                ErrorKind::Unreachable,
                &*format!("its guest port {guest_port}/tcp is not published"),
                "publish it when the container is made, see KrunLaunchExt::ssh_port, and start it",
            ),
            Self::UnreadableLine => {
                (ErrorKind::InvalidResponse, "podman's mapping has no `:` before a port", SEE_MAPPING)
            }
            Self::BadPort => {
                (ErrorKind::InvalidResponse, "podman's mapping names no port from 1 to 65535", SEE_MAPPING)
            }
        };
        Error::new(kind, OPERATION, message).with_hint(hint).in_container(name)
    }

    /// Keeps the kind of podman's own failures. The text "no public port" is not a failure of
    /// podman.
    fn of_podman(error: Error, name: &ContainerName, guest_port: u16) -> Error {
        if error.kind() == ErrorKind::BackendFailed && error.message().contains("no public port") {
            return Self::NoMapping.with_container(name, guest_port);
        }
        error
    }
}

/// Returns the host port of the first mapping: the text after the last colon of the first line,
/// since an IPv6 address contains colons too.
fn forwarded_port(text: &str) -> std::result::Result<u16, EndpointError> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).ok_or(EndpointError::NoMapping)?;
    let (_, port) = line.rsplit_once(':').ok_or(EndpointError::UnreadableLine)?;
    parse_port(port).map_err(|_| EndpointError::BadPort)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: std::result::Result<u16, EndpointError>) {
        assert_eq!(forwarded_port(text), expected, "{text:?}");
    }

    #[test]
    fn the_port_after_the_last_colon_of_the_first_mapping_counts() {
        check("127.0.0.1:42201\n", Ok(42201));
        check("0.0.0.0:12345", Ok(12345));
        check("127.0.0.1:1\n0.0.0.0:2\n", Ok(1));
        check("[::1]:42\n", Ok(42));
        check(":::42\n", Ok(42));
        check("", Err(EndpointError::NoMapping));
        check(" \n\n", Err(EndpointError::NoMapping));
        check("just-a-bare-token", Err(EndpointError::UnreadableLine));
        check("127.0.0.1:not-a-port", Err(EndpointError::BadPort));
        check("127.0.0.1:0", Err(EndpointError::BadPort));
        check("127.0.0.1:999999", Err(EndpointError::BadPort));
        check("127.0.0.1:", Err(EndpointError::BadPort));
        check("127.0.0.1:+22", Err(EndpointError::BadPort));
    }

    #[test]
    fn a_refusal_names_the_container_and_the_hint() {
        let name = ContainerName::new("vm-1").unwrap();
        for refused in [EndpointError::NoMapping, EndpointError::UnreadableLine, EndpointError::BadPort] {
            let error = refused.with_container(&name, 2222);
            assert!(error.to_string().contains("`vm-1`") && error.hint().is_some(), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_mapping_gives_its_port_and_nothing_else_does(host in "[0-9.]{7,15}|\\[[0-9a-f:]{2,20}\\]|:{2}", port in 0u32..200_000) {
            let expected = u16::try_from(port).ok().filter(|port| *port > 0).ok_or(EndpointError::BadPort);
            prop_assert_eq!(forwarded_port(&format!("{host}:{port}\n")), expected);
        }

        #[test]
        fn no_text_gives_port_0_or_a_panic(text in "\\PC{0,40}|[0-9:\\n \\[\\]]{0,30}") {
            prop_assert_ne!(forwarded_port(&text), Ok(0));
        }
    }
}
