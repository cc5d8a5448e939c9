//! What a network does to connections: how bytes pass, and the faults that connections come to.

use std::time::Duration;

/// A way through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a connection ends, for both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In order: the end of the stream.
    Close,
    /// With a reset.
    Reset,
}

/// What is done to bytes on all connections, from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficMode {
    /// They pass.
    #[default]
    Pass,
    /// They pass this much later.
    Delayed(Duration),
    /// So many bytes pass in a second, in each direction, and little is kept on the way.
    /// Connections that began before keep more.
    Paced(u32),
    /// They wait, as on a network that has gone away; later traffic lets them go.
    Held,
    /// They are taken and lost.
    Swallowed,
}

/// What happens once on a connection, after a number of its bytes have passed in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends there.
    Cut(Cut),
    /// One bit of the next byte is turned over.
    Garble,
    /// All that follows is taken and lost, in both directions.
    Swallow,
}

/// A fault, and where it happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultPoint {
    pub(super) direction: Direction,
    pub(super) after: u64,
    pub(super) fault: Fault,
}
