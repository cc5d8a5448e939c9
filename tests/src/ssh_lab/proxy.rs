//! A TCP proxy on loopback that injects faults on request: it delays, holds back, drops, corrupts
//! and cuts the data. `link` contains the loop of one connection.

mod fault;
mod link;
mod state;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rt_protocol::Until;

use super::TIMEOUT;
use fault::FaultPoint;
pub use fault::{Cut, Direction, Fault, TrafficMode};
use link::Link;
pub use state::Seen;
use state::Shared;

/// A proxy to one server. Dropping it ends all connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// A proxy to this server; everything passes.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let acceptor = thread::Builder::new().name("proxy".into()).spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, server, &shared)
        })?;
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where a client connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is done to bytes on all connections, those that are open among them.
    pub fn set(&self, traffic: TrafficMode) {
        self.shared.change(|state| state.traffic = traffic);
    }

    /// Every connection that begins from now on comes to this fault once so many bytes have passed.
    pub fn inject(&self, direction: Direction, after: u64, fault: Fault) {
        self.shared.change(|state| state.fault_points.push(FaultPoint { direction, after, fault }));
    }

    /// Connections that begin from now on come to no fault.
    pub fn clear_faults(&self) {
        self.shared.change(|state| state.fault_points.clear());
    }

    /// Ends every connection that is open.
    pub fn cut(&self, cut: Cut) {
        self.shared.change(|state| {
            state.cuts += 1;
            state.last_cut = Some(cut);
        });
    }

    /// What has been seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.lock().seen
    }

    /// Waits until enough was seen; false when that takes longer than anything does that is not
    /// broken.
    pub fn wait_until(&self, enough: impl Fn(&Seen) -> bool) -> bool {
        let look = || enough(&self.seen()).then_some(());
        self.shared.changed.wait_for(&Until::after(TIMEOUT), look).is_ok()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.closing = true;
            state.cuts += 1;
            state.last_cut = Some(Cut::Reset);
        });
        // The acceptor sits in `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy")
            .field("address", &self.address)
            .field("seen", &self.seen())
            .finish_non_exhaustive()
    }
}

/// Links are threads of the acceptor's, and end before it does.
fn accept(listener: &TcpListener, server: SocketAddr, shared: &Shared) {
    thread::scope(|scope| {
        for client in listener.incoming() {
            if shared.lock().closing {
                return;
            }
            let link = client.and_then(|client| Link::new(client, TcpStream::connect(server)?, shared));
            if let Ok(link) = link {
                scope.spawn(move || link.run());
            }
        }
    });
}
