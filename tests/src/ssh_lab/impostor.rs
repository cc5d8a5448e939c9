//! Servers that are none: they accept a connection, and behave as no SSH server should.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rt_protocol::sync::lock;

/// What is done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Nothing is ever said.
    Silent,
    /// Bytes without a meaning, and without a line's end.
    Garbage,
    /// Line after line before the version, as RFC 4253 allows, and never the version.
    EndlessLines,
    /// A line in the place of the version, and the end of the connection.
    TurnsAway,
    /// The version, and then nothing.
    Stuck,
    /// The version, and the end of the connection in the middle of the key exchange.
    HangsUp,
    /// The version, and a packet that says it is 4 GiB long.
    HugePacket,
    /// The version, and packets without end that nobody has to answer.
    Floods,
}

const VERSION: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";

/// As OpenSSH 9.8 and newer say it to whoever failed to log in too often.
const TURNED_AWAY: &[u8] = b"Not allowed at this time\r\n";

/// A server with bad behaviour. Dropping it ends its connections.
pub struct Impostor {
    address: SocketAddr,
    guests: Arc<Mutex<Guests>>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Guests {
    closing: bool,
    connections: Vec<TcpStream>,
}

impl Impostor {
    /// Starts one on a port of loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let guests = Arc::<Mutex<Guests>>::default();
        let acceptor = thread::Builder::new().name("impostor".into()).spawn({
            let guests = Arc::clone(&guests);
            move || accept(&listener, behaviour, &guests)
        })?;
        Ok(Self { address, guests, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        let mut guests = lock(&self.guests);
        guests.closing = true;
        for connection in guests.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(guests);
        // The acceptor sits in `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl fmt::Debug for Impostor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Impostor").field("address", &self.address).finish_non_exhaustive()
    }
}

fn accept(listener: &TcpListener, behaviour: Behaviour, guests: &Mutex<Guests>) {
    thread::scope(|scope| {
        for connection in listener.incoming().flatten() {
            let mut guests = lock(guests);
            if guests.closing {
                return;
            }
            // Without a second handle, it could not be ended from outside.
            if let Ok(handle) = connection.try_clone() {
                guests.connections.push(handle);
                // The client has gone away: that is as good an end as any.
                scope.spawn(move || drop(receive(connection, behaviour)));
            }
        }
    });
}

fn receive(mut connection: TcpStream, behaviour: Behaviour) -> io::Result<()> {
    match behaviour {
        Behaviour::Silent => {}
        Behaviour::Garbage => connection.write_all(&[0xe5; 16 * 1024])?,
        Behaviour::EndlessLines => loop {
            connection.write_all(b"please wait\r\n")?;
        },
        Behaviour::TurnsAway => {
            connection.write_all(TURNED_AWAY)?;
            return connection.shutdown(Shutdown::Both);
        }
        Behaviour::Stuck => connection.write_all(VERSION)?,
        Behaviour::HangsUp => {
            connection.write_all(VERSION)?;
            // The client's version, and the beginning of its proposal.
            connection.read_exact(&mut [0; 64])?;
            return connection.shutdown(Shutdown::Both);
        }
        Behaviour::Floods => {
            connection.write_all(VERSION)?;
            let packet = unasked_for();
            loop {
                connection.write_all(&packet)?;
            }
        }
        Behaviour::HugePacket => {
            connection.write_all(VERSION)?;
            connection.write_all(&[0xff; 64])?;
        }
    }
    // Until the client gives up, or the impostor is dropped.
    io::copy(&mut connection, &mut io::sink()).map(drop)
}

/// A packet of a kind that nobody has defined (RFC 4253, 6; RFC 4250, 4.1.2), which a client keeps
/// or answers.
fn unasked_for() -> Vec<u8> {
    const KIND: u8 = 200;
    const PADDING: u8 = 10;
    // The rest of the packet, and in it the padding's length, the kind, and the padding.
    const LENGTH: u32 = 32_000;
    let mut packet = LENGTH.to_be_bytes().to_vec();
    packet.extend([PADDING, KIND]);
    packet.resize(4 + LENGTH as usize, 0);
    packet
}
