//! A request in the wire format, as the supervisor reads it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rt_process::ExecMarker;
use rt_protocol::ExecRequest;

use crate::wire_format::{Act, MAX_BODY, RequestHead, TerminalSize};

/// An encoded command. `Debug` omits the bytes, because they contain secrets.
pub struct EncodedRequest {
    bytes: Vec<u8>,
    has_stdin: bool,
}

impl EncodedRequest {
    /// Encodes a request. Its user is that of the agent, and its output limits stay here. Without a
    /// stdin the command gets the agent's, `/dev/null`. The command and its descendants carry
    /// `marker` in their environment. `None` if it is longer than any kernel starts: 16 MiB.
    pub fn new(request: &ExecRequest, marker: &ExecMarker, has_stdin: bool) -> Option<Self> {
        Self::of_act(Act::Run, request, marker, has_stdin)
    }

    /// Encodes a request for an operation, whose arguments are in the place of a command's.
    pub(crate) fn of_act(
        act: Act,
        request: &ExecRequest,
        marker: &ExecMarker,
        has_stdin: bool,
    ) -> Option<Self> {
        let mut body = Vec::new();
        push(&mut body, &[request.workdir().map_or(OsStr::new(""), |workdir| workdir.as_os_str())]);
        for word in request.argv().words() {
            push(&mut body, &[word]);
        }
        for (name, value) in request.env().iter() {
            push(&mut body, &[OsStr::new(name.as_str()), OsStr::new("="), value.expose()]);
        }
        push(&mut body, &[OsStr::new(ExecMarker::NAME), OsStr::new("="), OsStr::new(marker.value())]);
        let head = RequestHead {
            act,
            has_stdin,
            terminal: request.terminal().map(TerminalSize::from),
            arguments: request.argv().len().try_into().ok()?,
            variables: (request.env().len() + 1).try_into().ok()?,
            length: u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BODY)?,
        };
        Some(Self { bytes: [&head.to_bytes()[..], &body].concat(), has_stdin })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn has_stdin(&self) -> bool {
        self.has_stdin
    }
}

impl std::fmt::Debug for EncodedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncodedRequest").field("length", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl From<rt_protocol::TerminalSize> for TerminalSize {
    fn from(size: rt_protocol::TerminalSize) -> Self {
        Self { rows: size.rows(), columns: size.columns() }
    }
}

/// Appends a string and its NUL. The parts of a request contain no NUL; that was checked when it
/// was built.
fn push(body: &mut Vec<u8>, parts: &[&OsStr]) {
    for part in parts {
        body.extend_from_slice(part.as_bytes());
    }
    body.push(0);
}
