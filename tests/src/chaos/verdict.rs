//! Whether an answer is right.

use rt_protocol::{Error, ErrorKind};

/// A word for a right answer, or what is wrong with it.
pub(super) type Verdict = Result<String, String>;

/// A word for an error that contradicts nothing: what was asked for is there, and what it needs runs unless its container
/// was harmed.
pub(super) fn right_error(error: &Error, container_was_harmed: bool) -> Verdict {
    match error.kind() {
        ErrorKind::BackendInterrupted
        | ErrorKind::BackendFailed
        | ErrorKind::BackendUnresponsive
        | ErrorKind::InvalidResponse
        | ErrorKind::TimedOut => Ok(format!("{:?}", error.kind())),
        // A container that ends takes the mounts along through which podman sees its paths.
        ErrorKind::NotRunning | ErrorKind::Paused | ErrorKind::Stopping | ErrorKind::NoSuchPath
            if container_was_harmed =>
        {
            Ok(format!("{:?}", error.kind()))
        }
        _ => Err(format!("an error of a wrong kind: {error:?}")),
    }
}
