//! What podman's client leaves unread of a command's output.
//!
//! conmon sends the output over a socket and takes stdin from it. Where it leaves with some stdin unread, the kernel tells
//! the client a reset connection before the output that has come, and podman takes that for the end (4.3.1 to 6). A copy of
//! the client's socket still has what was lost.

use std::io;

use rt_process::{SocketCopy, Unread};
use rt_protocol::{StreamEnd, StreamReport};

/// The name of conmon's socket for its client.
pub(crate) const NAME: &str = "attach";

/// The client's socket, from the time when it was seen.
#[derive(Debug, Default)]
pub(crate) struct AttachSocket {
    copy: Option<SocketCopy>,
    /// conmon has made one: an engine without any loses nothing in this way.
    pub(crate) is_there: bool,
    /// The system lets nobody look, or there is no such thing.
    is_refused: bool,
}

impl AttachSocket {
    /// Takes hold of it, if it is there by now.
    pub(crate) fn look(&mut self, client: u32) {
        if self.copy.is_some() || self.is_refused {
            return;
        }
        match SocketCopy::of(client, NAME) {
            Ok(copy) => self.copy = copy,
            Err(error) => {
                tracing::debug!(%error, "what podman loses of this output cannot be seen");
                self.is_refused = true;
            }
        }
    }

    /// Whether it is not held, and may be one day.
    pub(crate) fn may_come(&self) -> bool {
        self.copy.is_none() && !self.is_refused
    }

    /// Whether some of stdout, and of stderr, may be missing in what the client has handed on.
    pub(crate) fn cut_outputs(&self, stdin: StreamReport) -> [bool; 2] {
        match &self.copy {
            Some(copy) => missing(|| copy.take_unread()),
            // Of nothing, nothing is left unread.
            None if stdin.bytes == 0 => [false; 2],
            // It was missed.
            None if self.is_there && !self.is_refused => [true; 2],
            None => [stdin.end == StreamEnd::ReaderGone; 2],
        }
    }
}

/// The streams of the messages that are left. The first byte of one is its stream's number in conmon's protocol.
fn missing(mut next: impl FnMut() -> io::Result<Unread>) -> [bool; 2] {
    let mut missing = [false; 2];
    loop {
        match next() {
            Ok(Unread::End) => return missing,
            Ok(Unread::Message(message)) => match message.first() {
                Some(2) => missing[0] = true,
                Some(3) => missing[1] = true,
                _ => {}
            },
            // The client has left before conmon.
            Ok(Unread::Nothing) | Err(_) => return [true; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_whole_where_nothing_of_it_is_left() {
        let left = |messages: &[Unread]| {
            let mut messages = messages.iter().cloned();
            missing(|| messages.next().ok_or_else(|| io::ErrorKind::Other.into()))
        };
        let of = |stream: u8| Unread::Message(vec![stream, b'x']);
        assert_eq!(left(&[Unread::End]), [false, false]);
        assert_eq!(left(&[of(2), Unread::End]), [true, false]);
        assert_eq!(left(&[of(3), Unread::End]), [false, true]);
        assert_eq!(left(&[of(3), of(2), of(3), Unread::End]), [true, true]);
        assert_eq!(left(&[Unread::Nothing]), [true, true]);
        assert_eq!(left(&[]), [true, true]);
    }

    #[test]
    fn without_a_copy_an_output_is_whole_only_where_all_stdin_was_taken() {
        let whole = |bytes, end, is_there, is_refused| {
            let socket = AttachSocket { copy: None, is_there, is_refused };
            socket.cut_outputs(StreamReport::new(bytes, end)) == [false; 2]
        };
        assert!(whole(0, StreamEnd::ReaderGone, true, false));
        assert!(!whole(1, StreamEnd::Eof, true, false));
        assert!(whole(1, StreamEnd::Eof, true, true) && whole(1, StreamEnd::Eof, false, false));
        assert!(
            !whole(1, StreamEnd::ReaderGone, true, true) && !whole(1, StreamEnd::ReaderGone, false, false)
        );
    }
}
