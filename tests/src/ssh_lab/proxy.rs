//! A TCP proxy on loopback that does harm: it delays, holds back, swallows, garbles and cuts what passes, when it is told to.
//! One connection's loop stands in `link`.

mod link;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::PATIENCE;
use link::{Link, Waker};

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
pub enum Traffic {
    /// They pass.
    #[default]
    Pass,
    /// They pass this much later.
    Delayed(Duration),
    /// So many bytes pass in a second, in each direction, and little is kept on the way. Connections that began before keep
    /// more.
    Paced(u32),
    /// They wait, as on a network that has gone away; later traffic lets them go.
    Held,
    /// They are taken and lost.
    Swallowed,
}

/// What happens once on a connection, after a number of its bytes have passed in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// The connection ends there.
    Cut(Cut),
    /// One bit of the next byte is turned over.
    Garble,
    /// All that follows is taken and lost, in both directions.
    Swallow,
}

/// A harm, and where it happens.
#[derive(Clone, Copy, Debug)]
struct Appointment {
    direction: Direction,
    after: u64,
    harm: Harm,
}

/// What has been seen of all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections that were accepted.
    pub accepted: usize,
    /// Of these, how many have ended.
    pub ended: usize,
    /// Bytes that were handed on to the server.
    pub to_server: u64,
    /// Bytes that were handed on to the client.
    pub to_client: u64,
}

/// A proxy to one server. Dropping it ends all connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the acceptor, the links and the test share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    traffic: Traffic,
    appointments: Vec<Appointment>,
    /// Numbers the cuts of everything: a link ends when the number has changed since it began.
    cuts: u64,
    last_cut: Option<Cut>,
    seen: Seen,
    closing: bool,
    wakers: Vec<Waker>,
}

impl Seen {
    fn passed(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
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
    pub fn set(&self, traffic: Traffic) {
        self.shared.change(|state| state.traffic = traffic);
    }

    /// Every connection that begins from now on comes to this harm once so many bytes have passed.
    pub fn harm(&self, direction: Direction, after: u64, harm: Harm) {
        self.shared.change(|state| state.appointments.push(Appointment { direction, after, harm }));
    }

    /// Connections that begin from now on come to no harm.
    pub fn forgive(&self) {
        self.shared.change(|state| state.appointments.clear());
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

    /// Waits until enough was seen; false when that takes longer than anything does that is not broken.
    pub fn wait_until(&self, enough: impl Fn(&Seen) -> bool) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, PATIENCE, |state| !enough(&state.seen));
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells everybody.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.wakers.retain(Waker::ring);
        self.changed.notify_all();
    }

    /// Notes what was seen, and tells the test.
    fn note(&self, seen: impl FnOnce(&mut Seen)) {
        seen(&mut self.lock().seen);
        self.changed.notify_all();
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
