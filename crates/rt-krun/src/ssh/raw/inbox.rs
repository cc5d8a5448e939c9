//! The bytes from a guest, turn by turn.
//!
//! libssh2 reads the socket in nearly every call, and stores what it reads for the channel to which
//! it belongs. A call for one channel may read the end of another, the answer to a third, or the
//! window of a fourth. The empty socket then wakes none of them. So bytes are counted, and a loop
//! that continues until no more bytes arrive misses nothing.
//!
//! A guest that never falls silent would keep such a loop busy forever. So a turn is limited: once
//! it has had enough bytes, or has found the socket empty, libssh2 is told that there are no more.
//! The rest is for the next turn, which poll(2) starts at once.

use std::cell::{Cell, RefCell};
use std::net::TcpStream;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// The most that one turn takes, in bytes: some milliseconds of work.
const TURN: usize = 256 << 10;

/// How much of the first bytes is remembered. A banner has up to 255 (RFC 4253, section 4.2).
pub(crate) const OPENING: usize = 256;

/// The bytes from one socket.
#[derive(Debug)]
pub(crate) struct Inbox {
    socket: Arc<TcpStream>,
    /// How many bytes have arrived in total.
    count: Cell<u64>,
    /// How many more bytes this turn takes. Before the first turn there is no limit, and the socket
    /// is read every time.
    left: Cell<Option<usize>>,
    /// The first bytes.
    opening: RefCell<Vec<u8>>,
}

impl Inbox {
    pub(crate) fn new(socket: Arc<TcpStream>) -> Self {
        Self { socket, count: Cell::new(0), left: Cell::new(None), opening: RefCell::default() }
    }

    /// Starts a new turn.
    pub(crate) fn begin_turn(&self) {
        self.left.set(Some(TURN));
    }

    /// Returns how many bytes have arrived in total. If the number did not change, nothing was
    /// missed in between.
    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }

    /// Returns the first bytes of the peer: its banner, or what it sent instead.
    pub(crate) fn opening(&self) -> Vec<u8> {
        self.opening.borrow().clone()
    }

    /// Fills the buffer as far as there are bytes. Returns 0 at their end, and `AGAIN` if this turn
    /// has no more of them.
    pub(crate) fn take(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let left = self.left.get();
        if left == Some(0) {
            return Err(Errno::AGAIN);
        }
        let most = left.map_or(buffer.len(), |left| left.min(buffer.len()));
        let came = loop {
            match recv(&*self.socket, &mut buffer[..most], RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                came => break came,
            }
        };
        // A buffer that was not filled has emptied the socket, so another read would be useless.
        let left = match came {
            Ok((0, _)) => left,
            Ok((count, _)) if count == most => left.map(|left| left - count),
            _ => left.map(|_| 0),
        };
        self.left.set(left);
        let (count, _) = came?;
        self.count.set(self.count.get() + count as u64);
        let mut opening = self.opening.borrow_mut();
        let room = OPENING - opening.len();
        opening.extend_from_slice(&buffer[..count.min(room)]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn pair() -> (Inbox, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nonblocking(true).unwrap();
        (Inbox::new(Arc::new(near)), listener.accept().unwrap().0)
    }

    #[test]
    fn what_came_first_is_remembered_and_no_more() {
        let (inbox, mut far) = pair();
        far.write_all(&[b'a'; 1000]).unwrap();
        let mut buffer = [0; 100];
        for _ in 0..10 {
            while inbox.take(&mut buffer) != Ok(100) {}
        }
        assert_eq!((inbox.opening(), inbox.count()), (vec![b'a'; 256], 1000));
    }

    #[test]
    fn a_turn_ends_with_an_empty_socket_and_the_next_one_goes_on() {
        let (inbox, mut far) = pair();
        let mut buffer = [0; 64];
        inbox.begin_turn();
        assert_eq!(inbox.take(&mut buffer), Err(Errno::AGAIN));
        far.write_all(b"late").unwrap();
        assert_eq!(inbox.take(&mut buffer), Err(Errno::AGAIN));
        inbox.begin_turn();
        let came = (0..1000).find_map(|_| {
            thread::sleep(std::time::Duration::from_millis(1));
            inbox.begin_turn();
            inbox.take(&mut buffer).ok()
        });
        assert_eq!((came, &buffer[..4], inbox.count()), (Some(4), &b"late"[..], 4));
        drop(far);
        let end = (0..1000).find_map(|_| {
            thread::sleep(std::time::Duration::from_millis(1));
            inbox.begin_turn();
            inbox.take(&mut buffer).ok()
        });
        assert_eq!(end, Some(0));
    }

    #[test]
    fn a_turn_ends_under_a_peer_that_never_falls_silent() {
        let (inbox, mut far) = pair();
        let bytes: Vec<u8> = (0..=250u8).cycle().take(4 << 20).collect();
        let sent = bytes.clone();
        let writer = thread::spawn(move || far.write_all(&sent));
        let (mut heard, mut buffer) = (Vec::new(), vec![0; 35_000]);
        while heard.len() < bytes.len() {
            let before = heard.len();
            inbox.begin_turn();
            while let Ok(count) = inbox.take(&mut buffer)
                && count > 0
            {
                heard.extend_from_slice(&buffer[..count]);
            }
            assert!(heard.len() - before <= TURN);
            thread::yield_now();
        }
        writer.join().unwrap().unwrap();
        assert!(heard == bytes && inbox.count() == bytes.len() as u64);
    }
}
