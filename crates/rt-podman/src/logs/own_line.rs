//! podman's own messages among the lines of a log, and the error of a reading that podman does not
//! explain.

use rt_process::{ExitStatus, Line};
use rt_protocol::{ContainerName, Error, ErrorKind, OutputStream};

pub(crate) const OPERATION: &str = "read the log of";

/// How many unselected lines a pull still skips after its limit, if they come without waiting.
pub(crate) const DROPPED_AFTER_THE_END: usize = 1000;

/// Returns whether the line begins as podman's own errors do.
pub(crate) fn may_be_of_podman(line: &Line) -> bool {
    line.stream == OutputStream::Stderr && line.bytes.starts_with(b"Error: ")
}

/// Builds the error for a podman that failed without a message.
pub(crate) fn wordless(name: &ContainerName, status: ExitStatus) -> Error {
    let message = format!("podman ended with {status:?} and without a word");
    Error::new(ErrorKind::BackendFailed, OPERATION, message)
        .in_container(name)
        .with_hint("the log may be incomplete; ask again")
}
