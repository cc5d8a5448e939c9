//! One output of a command, captured or passed to the caller's pipe.

use std::os::fd::OwnedFd;

use rt_protocol::{Capture, CapturedOutput, StreamEnd};

use super::pipe::set_nonblocking;

/// One output of a command.
#[derive(Debug)]
pub(crate) enum Output {
    Captured(Capture),
    Piped {
        /// `None` once the caller's side takes no more. Further bytes are dropped.
        pipe: Option<OwnedFd>,
        pending: Vec<u8>,
        written: usize,
    },
}

impl Output {
    pub(crate) fn piped(pipe: OwnedFd) -> Self {
        let pipe = set_nonblocking(&pipe).is_ok().then_some(pipe);
        Self::Piped { pipe, pending: Vec::new(), written: 0 }
    }

    pub(crate) fn waits_for(&self) -> Option<&OwnedFd> {
        match self {
            Self::Piped { pipe, .. } if !self.has_room() => pipe.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Captured(_) => true,
            Self::Piped { pipe, pending, written } => pipe.is_none() || *written == pending.len(),
        }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        match self {
            Self::Captured(capture) => capture.push(bytes),
            Self::Piped { pipe, pending, written } => {
                let mut rest = bytes;
                if *written == pending.len() {
                    pending.clear();
                    *written = 0;
                    rest = &bytes[write_some(pipe, bytes)..];
                }
                if pipe.is_some() {
                    pending.extend_from_slice(rest);
                }
            }
        }
    }

    /// Passes on what the caller's side takes now. Returns whether it took anything.
    pub(crate) fn flush(&mut self) -> bool {
        let Self::Piped { pipe, pending, written } = self else { return false };
        let count = write_some(pipe, &pending[*written..]);
        *written += count;
        count > 0
    }

    /// Closes it. Bytes that were not passed on are lost; there are only some if the command was
    /// stopped.
    pub(crate) fn finish(&mut self, end: StreamEnd) -> CapturedOutput {
        match self {
            Self::Captured(capture) => {
                std::mem::replace(capture, Capture::new(rt_protocol::OutputLimit::UNLIMITED)).finish(end)
            }
            Self::Piped { .. } => {
                self.flush();
                if let Self::Piped { pipe, .. } = self {
                    *pipe = None;
                }
                CapturedOutput::default().with_end(end)
            }
        }
    }
}

/// Writes what a pipe takes now, and drops the pipe if its reader is gone.
fn write_some(pipe: &mut Option<OwnedFd>, bytes: &[u8]) -> usize {
    let mut count = 0;
    while let (Some(open), true) = (&*pipe, count < bytes.len()) {
        match rustix::io::write(open, &bytes[count..]) {
            Ok(more) => count += more,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => break,
            Err(_) => *pipe = None,
        }
    }
    count
}
