//! Detects output of a command that podman's client has left unread.
//!
//! conmon sends the output over a socket and reads stdin from it. If it exits with some stdin
//! unread, the kernel reports a reset connection to the client before the output that has come, and
//! podman takes that for the end (4.3.1 to 6). A copy of the client's socket still contains what
//! was lost. It also contains what a client left that another process has ended.

use std::io;

use rt_process::{SocketCopy, Unread};
use rt_protocol::{StreamEnd, StreamReport};

/// The name of conmon's socket for its client.
pub(crate) const NAME: &str = "attach";

/// What is known about how the client exited.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leaving {
    /// It has certainly handed over everything.
    pub(crate) has_seen_the_end: bool,
    /// conmon reported the end before the client exited, or this cannot be known.
    pub(crate) could_see_the_end: bool,
    /// It may have been waiting for a slow sink.
    pub(crate) was_held_back: bool,
}

/// The client's socket, copied when it was first seen.
#[derive(Debug, Default)]
pub(crate) struct AttachSocket {
    copy: Option<SocketCopy>,
    /// conmon has created one; without one, nothing is lost in this way.
    pub(crate) is_there: bool,
    /// The system forbade the copy at the last attempt, or does not support it.
    is_refused: bool,
    /// It is in podman's service. The service loses the end of an output if some stdin stays
    /// unread, and its client may lose the beginning (seen with 4.3.1): what arrives with the
    /// answer that the connection is taken over.
    pub(crate) is_remote: bool,
}

impl AttachSocket {
    /// Copies the socket if it exists by now. A refusal counts until the next attempt: a process
    /// that is just starting cannot be looked into.
    pub(crate) fn look(&mut self, client: u32) {
        if self.copy.is_some() {
            return;
        }
        let found = SocketCopy::of(client, NAME);
        self.is_refused = found.is_err();
        match found {
            Ok(copy) => self.copy = copy,
            Err(error) => tracing::debug!(%error, "what podman loses of this output cannot be seen"),
        }
    }

    pub(crate) fn has_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// Returns whether stdout, and stderr, may be incomplete in what the client has handed on.
    /// `stdin` is what the command was fed, if it was.
    pub(crate) fn cut_outputs(&self, stdin: Option<StreamReport>, leaving: Leaving) -> [bool; 2] {
        if self.is_remote {
            return [true; 2];
        }
        if leaving.has_seen_the_end && stdin.is_none() {
            return [false; 2];
        }
        let may_have_left_early = self.is_there && !leaving.has_seen_the_end;
        if may_have_left_early && leaving.was_held_back {
            return [true; 2];
        }
        match &self.copy {
            Some(copy) => missing(|| copy.take_unread()),
            None if may_have_left_early && !leaving.could_see_the_end => [true; 2],
            None => [stdin.is_some_and(|stdin| self.may_lose_output(stdin)); 2],
        }
    }

    /// Judges without a copy.
    fn may_lose_output(&self, stdin: StreamReport) -> bool {
        match stdin.bytes {
            // With no bytes fed, none is left unread.
            0 => false,
            // The socket was missed.
            _ if self.is_there && !self.is_refused => true,
            _ => stdin.end == StreamEnd::ReaderGone,
        }
    }
}

/// Returns which streams have messages left. The first byte of a message is its stream's number in
/// conmon's protocol.
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
            // The client exited before conmon.
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

    const BY_ITSELF: Leaving =
        Leaving { has_seen_the_end: true, could_see_the_end: true, was_held_back: false };

    #[test]
    fn without_a_copy_all_stdin_must_have_been_taken() {
        let whole = |bytes, end, is_there, is_refused| {
            let socket = AttachSocket { is_there, is_refused, ..AttachSocket::default() };
            socket.cut_outputs(Some(StreamReport::new(bytes, end)), BY_ITSELF) == [false; 2]
        };
        assert!(whole(0, StreamEnd::ReaderGone, true, false));
        assert!(!whole(1, StreamEnd::Eof, true, false));
        assert!(whole(1, StreamEnd::Eof, true, true) && whole(1, StreamEnd::Eof, false, false));
        assert!(
            !whole(1, StreamEnd::ReaderGone, true, true) && !whole(1, StreamEnd::ReaderGone, false, false)
        );
    }

    #[test]
    fn no_output_of_a_service_is_called_whole() {
        let remote = AttachSocket { is_remote: true, ..AttachSocket::default() };
        assert_eq!(remote.cut_outputs(None, BY_ITSELF), [true; 2]);
    }

    #[test]
    fn an_output_is_cut_where_the_client_left_before_the_end() {
        let left = |is_there, leaving| {
            AttachSocket { is_there, is_refused: true, ..AttachSocket::default() }.cut_outputs(None, leaving)
        };
        let whole = |leaving| left(true, leaving) == [false; 2];
        assert!(whole(BY_ITSELF));
        assert!(!whole(Leaving::default()));
        assert_eq!(left(false, Leaving::default()), [false; 2], "an engine without any");
        assert!(whole(Leaving { could_see_the_end: true, ..Leaving::default() }));
        let held_back = Leaving { could_see_the_end: true, was_held_back: true, has_seen_the_end: false };
        assert!(!whole(held_back));
        assert!(whole(Leaving { has_seen_the_end: true, ..held_back }));
    }
}
