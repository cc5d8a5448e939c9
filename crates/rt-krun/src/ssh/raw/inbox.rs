//! What comes from a guest, turn by turn.
//!
//! libssh2 reads the socket in nearly every call, and hands what it finds to whichever channel it is for: a call for one
//! channel brings in the end of another, the answer to a third, the room that a fourth waits for. None of them is woken
//! by a socket that was read empty. So what comes is counted, and who goes on until nothing more comes misses nothing.
//!
//! And a guest that never falls silent would keep that going for ever. So a turn has an end: libssh2 is told that nothing
//! more is there once a turn has had enough bytes, or has found the socket empty. The rest is for the next turn, and
//! poll(2) says at once that it is there.

use std::cell::{Cell, RefCell};
use std::net::TcpStream;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// The most that one turn takes, in bytes: some milliseconds of work.
const TURN: usize = 256 << 10;

/// The most that is remembered of what came first, in bytes: a banner has 255 (RFC 4253, 4.2).
pub(crate) const OPENING: usize = 256;

/// Bytes from one socket.
#[derive(Debug)]
pub(crate) struct Inbox {
    socket: Arc<TcpStream>,
    /// How many bytes have come in all.
    count: Cell<u64>,
    /// How many more this turn takes. Before the first turn there is no limit, and the socket is asked every time.
    left: Cell<Option<usize>>,
    /// What came first.
    opening: RefCell<Vec<u8>>,
}

impl Inbox {
    pub(crate) fn new(socket: Arc<TcpStream>) -> Self {
        Self { socket, count: Cell::new(0), left: Cell::new(None), opening: RefCell::default() }
    }

    /// Lets bytes come again.
    pub(crate) fn begin_turn(&self) {
        self.left.set(Some(TURN));
    }

    /// How many bytes have come in all. Who finds it as it was has missed nothing in between.
    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }

    /// What the peer said first: its banner, or what it said instead.
    pub(crate) fn opening(&self) -> Vec<u8> {
        self.opening.borrow().clone()
    }

    /// Fills as much of the buffer as there are bytes; 0 at their end, `AGAIN` when this turn has no more of them.
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
        // A buffer that was not filled has emptied the socket: asking once more would only be told so.
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
