//! The bytes to a guest that did not fit the socket yet.
//!
//! If a socket takes only a part of a packet, libssh2 keeps the rest and sends nothing else until
//! the same call is made again. With many channels on a session, and commands that end in the
//! middle of a call, that call may never be made again, and the connection would hang. So libssh2
//! never sees a full socket. What does not fit waits here, and calls that would only add to it wait
//! for room.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// With this many bytes waiting, no command's stdin is taken. Other data is small, and limited by
/// the number of channels.
const ENOUGH: usize = 128 << 10;

/// The bytes for one socket, in order.
#[derive(Debug)]
pub(crate) struct Outbox {
    socket: Arc<TcpStream>,
    waiting: RefCell<VecDeque<u8>>,
    /// How many bytes were taken in total.
    count: Cell<u64>,
}

impl Outbox {
    pub(crate) fn new(socket: Arc<TcpStream>) -> Self {
        Self { socket, waiting: RefCell::default(), count: Cell::default() }
    }

    /// Takes all of the bytes.
    pub(crate) fn take(&self, bytes: &[u8]) -> Result<(), Errno> {
        let mut waiting = self.waiting.try_borrow_mut().map_err(|_| Errno::IO)?;
        let sent = if waiting.is_empty() { self.send(bytes)? } else { 0 };
        waiting.extend(&bytes[sent..]);
        self.count.set(self.count.get() + bytes.len() as u64);
        Ok(())
    }

    /// Returns how many bytes were taken in total.
    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }

    /// Sends what the socket takes now.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut waiting = self.waiting.borrow_mut();
        while !waiting.is_empty() {
            let (first, _) = waiting.as_slices();
            match self.send(first)? {
                0 => break,
                sent => drop(waiting.drain(..sent)),
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Returns whether more of a command's stdin must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.borrow().len() >= ENOUGH
    }

    /// Returns how many of these bytes the socket takes now.
    fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            match send(&*self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nonblocking(true).unwrap();
        (Arc::new(near), listener.accept().unwrap().0)
    }

    #[test]
    fn what_a_full_socket_does_not_take_waits_and_keeps_its_order() {
        let (near, mut far) = pair();
        let outbox = Outbox::new(near);
        let bytes: Vec<u8> = (0..=250u8).cycle().take(32 << 20).collect();
        for part in bytes.chunks(30_001) {
            outbox.take(part).unwrap();
        }
        assert!(outbox.is_full() && !outbox.is_empty());
        let reader = thread::spawn(move || {
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).unwrap();
            heard
        });
        while !outbox.is_empty() {
            outbox.flush().unwrap();
            thread::yield_now();
        }
        drop(outbox);
        assert!(reader.join().unwrap() == bytes);
    }

    #[test]
    fn a_socket_whose_peer_is_gone_is_an_error() {
        let (near, far) = pair();
        drop(far);
        let outbox = Outbox::new(near);
        let refused = (0..100).find_map(|_| {
            thread::sleep(std::time::Duration::from_millis(1));
            outbox.take(b"x").err()
        });
        assert!(matches!(refused, Some(Errno::PIPE | Errno::CONNRESET)), "{refused:?}");
    }
}
