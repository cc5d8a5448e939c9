//! A port of the host that is held for somebody.

use std::fmt;
use std::net::SocketAddr;

use crate::Result;

/// A TCP port that is bound and not listening, so that nobody else is given it.
///
/// Close it right before the port is handed to whoever will listen; between the two, another process may take it. Where
/// an engine can pick the port itself ([`PortMapping::any_port_on_loopback`](crate::PortMapping::any_port_on_loopback)),
/// that race does not exist. Dropping it does what [`close`](Self::close) does.
#[must_use = "dropping a reservation frees the port"]
pub trait PortReservation: fmt::Debug + Send {
    /// The address that is held.
    fn address(&self) -> SocketAddr;

    /// The port that is held, 1 to 65535.
    fn port(&self) -> u16 {
        self.address().port()
    }

    /// Frees the port. Twice is fine.
    ///
    /// # Errors
    /// When the system refused.
    fn close(&mut self) -> Result<()>;
}
