//! A port to publish on the host. The port that an engine has picked is a `PublishedPort`.

use std::net::IpAddr;

use crate::TransportProtocol;

/// A port to publish on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct PortMapping {
    container_port: u16,
    #[cfg_attr(feature = "serde", serde(default))]
    protocol: TransportProtocol,
    #[cfg_attr(feature = "serde", serde(default))]
    host_ip: Option<IpAddr>,
    #[cfg_attr(feature = "serde", serde(default))]
    host_port: Option<u16>,
}

impl PortMapping {
    /// Publishes a TCP port on 127.0.0.1, on a host port that the engine picks. The picked port is read back from
    /// [`ContainerInfo::ports`](crate::ContainerInfo::ports) once the container is started; nobody else can take it
    /// in between.
    pub fn any_port_on_loopback(container_port: u16) -> Self {
        Self {
            container_port,
            protocol: TransportProtocol::Tcp,
            host_ip: Some(IpAddr::from([127, 0, 0, 1])),
            host_port: None,
        }
    }

    /// Publishes a TCP port on 127.0.0.1, on this host port.
    pub fn on_loopback(host_port: u16, container_port: u16) -> Self {
        Self { host_port: Some(host_port), ..Self::any_port_on_loopback(container_port) }
    }

    /// Another transport.
    #[must_use]
    pub fn with_protocol(self, protocol: TransportProtocol) -> Self {
        Self { protocol, ..self }
    }

    /// Another address of the host, or `None` for all of them.
    #[must_use]
    pub fn with_host_ip(self, host_ip: Option<IpAddr>) -> Self {
        Self { host_ip, ..self }
    }

    /// The port inside the container.
    pub fn container_port(&self) -> u16 {
        self.container_port
    }

    /// The transport.
    pub fn protocol(&self) -> TransportProtocol {
        self.protocol
    }

    /// The address on the host; `None` is all of them.
    pub fn host_ip(&self) -> Option<IpAddr> {
        self.host_ip
    }

    /// The port on the host; `None` lets the engine pick.
    pub fn host_port(&self) -> Option<u16> {
        self.host_port
    }
}
