//! The request for a terminal: what is told to the guest's sshd.

use std::os::unix::ffi::OsStrExt;

use rt_protocol::{EnvValue, ExecRequest, TerminalSize};

/// The longest `TERM` in the request, in bytes. libssh2 takes 256 together with the modes. The
/// script sets the variable in any case.
const LONGEST_TERM: usize = 128;

/// The modes of a fresh terminal of Linux, by their numbers in RFC 4254, section 8. So a command
/// does not depend on what its sshd takes for a default.
const MODES: [(u8, u32); 15] = [
    (36, 1), // ICRNL
    (38, 1), // IXON
    (50, 1), // ISIG
    (51, 1), // ICANON
    (53, 1), // ECHO
    (54, 1), // ECHOE
    (55, 1), // ECHOK
    (56, 0), // ECHONL
    (57, 0), // NOFLSH
    (58, 0), // TOSTOP
    (59, 1), // IEXTEN
    (60, 1), // ECHOCTL
    (61, 1), // ECHOKE
    (70, 1), // OPOST
    (72, 1), // ONLCR
];

/// RFC 4254: ends the list of modes.
const TTY_OP_END: u8 = 0;

/// A request for a terminal (RFC 4254, section 6.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct TerminalRequest {
    pub(super) term: Vec<u8>,
    pub(super) size: TerminalSize,
}

impl TerminalRequest {
    /// Returns the one of a command; `None` if it has no terminal.
    pub(crate) fn of(request: &ExecRequest) -> Option<Self> {
        let size = request.terminal()?;
        let term = request.env().iter().find(|(name, _)| name.as_str() == "TERM");
        let term = match term {
            Some((_, EnvValue::Plain(term))) if term.len() <= LONGEST_TERM => term.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        Some(Self { term, size })
    }

    /// Returns the modes as they are sent.
    pub(super) fn modes() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (mode, value) in MODES {
            bytes.push(mode);
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes.push(TTY_OP_END);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_and_no_long_term_is_in_the_request() {
        let size = TerminalSize::default();
        let term = |request: ExecRequest| TerminalRequest::of(&request).unwrap().term;
        let builder = || ExecRequest::builder(["vi"]).terminal(size);
        assert_eq!(term(builder().build().unwrap()), b"xterm");
        assert_eq!(term(builder().env("TERM", "vt100").build().unwrap()), b"vt100");
        assert_eq!(term(builder().secret_env("TERM", "hunter2").build().unwrap()), b"");
        assert_eq!(term(builder().env("TERM", "x".repeat(200)).build().unwrap()), b"");
        assert!(TerminalRequest::of(&ExecRequest::new(["vi"]).unwrap()).is_none());
        assert!(LONGEST_TERM + TerminalRequest::modes().len() <= 256);
    }
}
