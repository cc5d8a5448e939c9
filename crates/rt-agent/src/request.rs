//! A request as the supervisor reads it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rt_protocol::ExecRequest;

use crate::wire_format::{Act, MAX_BODY, RequestHead};

/// A command in the bytes of the wire. Its `Debug` has no bytes: secrets are among them.
pub struct EncodedRequest(Vec<u8>);

impl EncodedRequest {
    /// Encodes a request; its user is that of the agent, and its output limits stay here. Without a stdin the command gets
    /// the agent's, `/dev/null`. `None` where it is longer than any kernel starts: 16 MiB.
    pub fn new(request: &ExecRequest, has_stdin: bool) -> Option<Self> {
        let mut body = Vec::new();
        push(&mut body, &[request.workdir().map_or(OsStr::new(""), |workdir| workdir.as_os_str())]);
        for word in request.argv().words() {
            push(&mut body, &[word]);
        }
        for (name, value) in request.env().iter() {
            push(&mut body, &[OsStr::new(name.as_str()), OsStr::new("="), value.expose()]);
        }
        let head = RequestHead {
            act: Act::Run,
            has_stdin,
            terminal: None,
            arguments: request.argv().len().try_into().ok()?,
            variables: request.env().len().try_into().ok()?,
            length: u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BODY)?,
        };
        Some(Self([&head.to_bytes()[..], &body].concat()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for EncodedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncodedRequest").field("length", &self.0.len()).finish_non_exhaustive()
    }
}

/// A string and its NUL. The parts of a request have none: they were checked when it was built.
fn push(body: &mut Vec<u8>, parts: &[&OsStr]) {
    for part in parts {
        body.extend_from_slice(part.as_bytes());
    }
    body.push(0);
}
