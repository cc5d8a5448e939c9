//! A port that a new container publishes on the host. The port that the engine chose is a
//! `PublishedPort`.

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
    /// Returns a mapping of a TCP port to 127.0.0.1, on a host port that the engine chooses.
    ///
    /// [`ContainerInfo::ports`](crate::ContainerInfo::ports) has the chosen port after the start.
    /// No other process can take it in between.
    pub fn any_port_on_loopback(container_port: u16) -> Self {
        Self {
            container_port,
            protocol: TransportProtocol::Tcp,
            host_ip: Some(IpAddr::from([127, 0, 0, 1])),
            host_port: None,
        }
    }

    /// Returns a mapping of a TCP port to 127.0.0.1, on this host port.
    pub fn on_loopback(host_port: u16, container_port: u16) -> Self {
        Self { host_port: Some(host_port), ..Self::any_port_on_loopback(container_port) }
    }

    /// Sets the transport protocol.
    #[must_use]
    pub fn with_protocol(self, protocol: TransportProtocol) -> Self {
        Self { protocol, ..self }
    }

    /// Sets the address of the host; `None` for all addresses.
    #[must_use]
    pub fn with_host_ip(self, host_ip: Option<IpAddr>) -> Self {
        Self { host_ip, ..self }
    }

    /// Returns the port inside the container.
    pub fn container_port(&self) -> u16 {
        self.container_port
    }

    /// Returns the transport protocol.
    pub fn protocol(&self) -> TransportProtocol {
        self.protocol
    }

    /// Returns the address on the host; `None` for all addresses.
    pub fn host_ip(&self) -> Option<IpAddr> {
        self.host_ip
    }

    /// Returns the port on the host; `None` if the engine chooses it.
    pub fn host_port(&self) -> Option<u16> {
        self.host_port
    }
}
