//! What podman itself says among the lines of a log, and how a reading of one ends that it cannot explain.

use rt_process::{ExitStatus, Line};
use rt_protocol::{ContainerName, Error, ErrorKind, OutputStream};

pub(crate) const OPERATION: &str = "read the log of";

/// How many lines that are not the one it wants a pull whose limit is over still passes while they come without waiting.
pub(crate) const DROPPED_AFTER_THE_END: usize = 1000;

/// Whether the line begins as podman's own errors do.
pub(crate) fn may_be_of_podman(line: &Line) -> bool {
    line.stream == OutputStream::Stderr && line.bytes.starts_with(b"Error: ")
}

/// podman failed, and did not say why.
pub(crate) fn wordless(name: &ContainerName, status: ExitStatus) -> Error {
    let message = format!("podman ended with {status:?} and without a word");
    Error::new(ErrorKind::BackendFailed, OPERATION, message)
        .in_container(name)
        .with_hint("the log may be incomplete; ask again")
}
