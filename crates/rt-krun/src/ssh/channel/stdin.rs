//! The stdin of one command: reads the caller's pipe only as fast as the guest takes it.

use std::fmt;
use std::os::fd::OwnedFd;
use std::task::Poll;

use super::pipe::{CHUNK, set_nonblocking};
use crate::ssh::raw::libssh2::{Channel, Refusal};

/// Which bytes the guest may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// None.
    Closed,
    /// Those for our script.
    Script,
    /// The caller's too.
    Command,
}

/// The stdin of a command. `Debug` shows none of its bytes: the first ones may be secrets.
pub(crate) struct Stdin {
    /// The caller's pipe; `None` if there is none, or once it has ended.
    pipe: Option<OwnedFd>,
    /// Holds bytes up to `filled`; those before `written` are sent. It never shrinks: clearing it
    /// for every read would cost as much as the read.
    buffer: Vec<u8>,
    filled: usize,
    written: usize,
    /// How many of the written bytes are ours, not the caller's.
    own: u64,
    pub(crate) bytes: u64,
    /// The end was passed on, if it is.
    pub(crate) is_ended: bool,
    is_closed: bool,
    gate: Gate,
    /// Its end is not passed on: a terminal has none, and the packets of an agent follow.
    stays_open: bool,
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Stdin {
    pub(crate) fn new(preamble: Vec<u8>, pipe: Option<OwnedFd>) -> Self {
        let pipe = pipe.filter(|pipe| set_nonblocking(pipe).is_ok());
        let filled = preamble.len();
        Self {
            pipe,
            buffer: preamble,
            filled,
            written: 0,
            own: filled as u64,
            bytes: 0,
            is_ended: false,
            is_closed: false,
            gate: Gate::Command,
            stays_open: false,
        }
    }

    /// Creates one whose bytes are typed at a terminal, once they may be.
    pub(crate) fn typed(preamble: Vec<u8>, pipe: Option<OwnedFd>) -> Self {
        Self { gate: Gate::Closed, stays_open: true, ..Self::new(preamble, pipe) }
    }

    /// Creates one that only sends these bytes.
    pub(crate) fn unended(bytes: Vec<u8>) -> Self {
        Self { stays_open: true, ..Self::new(bytes, None) }
    }

    /// Lets more bytes pass.
    pub(crate) fn open(&mut self, gate: Gate) {
        self.gate = gate;
    }

    /// Returns the caller's pipe, if bytes of it can be taken now.
    pub(crate) fn waits_for(&self, channel: &Channel) -> Option<&OwnedFd> {
        let is_wanted = self.written == self.filled && !self.is_closed && self.gate == Gate::Command;
        self.pipe.as_ref().filter(|_| is_wanted && channel.window() > 0)
    }

    pub(crate) fn advance(&mut self, channel: &mut Channel) -> Result<bool, Refusal> {
        let mut moved = false;
        while !self.is_closed && !self.is_ended && self.gate != Gate::Closed {
            if self.written < self.filled {
                match channel.write(&self.buffer[self.written..self.filled]) {
                    Poll::Pending => break,
                    Poll::Ready(count) => self.note(count?),
                }
            } else if self.gate != Gate::Command {
                break;
            } else if let Some(pipe) = &self.pipe {
                // Reads no more than the guest takes at once. What a command leaves unread stays
                // with the caller, as far as the guest's window allows.
                let most = channel.window().min(CHUNK);
                if most == 0 {
                    break;
                }
                if self.buffer.len() < most {
                    self.buffer.resize(most, 0);
                }
                match rustix::io::read(pipe, &mut self.buffer[..most]) {
                    Ok(0) => self.pipe = None,
                    Ok(count) => {
                        (self.filled, self.written) = (count, 0);
                        continue;
                    }
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => break,
                    Err(_) => self.pipe = None,
                }
            } else if self.stays_open {
                self.is_ended = true;
            } else {
                match channel.send_eof() {
                    Poll::Pending => break,
                    Poll::Ready(sent) => {
                        self.is_ended = true;
                        sent?;
                    }
                }
            }
            moved = true;
        }
        Ok(moved)
    }

    fn note(&mut self, count: usize) {
        self.written += count;
        let own = self.own.min(count as u64);
        self.own -= own;
        self.bytes += count as u64 - own;
    }

    /// Records that the command reads no more, which the caller's side sees.
    pub(crate) fn close(&mut self) {
        self.pipe = None;
        self.is_closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_text_of_stdin_shows_what_goes_in() {
        let shown = format!("{:?}", Stdin::new(b"hunter2".to_vec(), None));
        assert!(
            shown.starts_with("Stdin") && !shown.contains("104, 117") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
