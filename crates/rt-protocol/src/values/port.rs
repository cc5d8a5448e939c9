//! A reserved port of the host.

use std::fmt;
use std::net::SocketAddr;

use crate::Result;

/// A TCP port that is bound without listening, so that no other process gets it.
///
/// Close the reservation right before the port is passed to the process that will listen. In
/// between, another process may take it. If the engine chooses the port itself
/// ([`PortMapping::any_port_on_loopback`](crate::PortMapping::any_port_on_loopback)), this race
/// does not exist. Dropping the reservation closes it.
#[must_use = "dropping a reservation frees the port"]
pub trait PortReservation: fmt::Debug + Send {
    /// Returns the reserved address.
    fn address(&self) -> SocketAddr;

    /// Returns the reserved port, 1 to 65535.
    fn port(&self) -> u16 {
        self.address().port()
    }

    /// Frees the port. A second call has no effect.
    ///
    /// # Errors
    /// [`System`](crate::ErrorKind::System) if the operating system refuses.
    fn close(&mut self) -> Result<()>;
}
