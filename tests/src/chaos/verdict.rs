//! Whether an answer is right.

use rt_protocol::{Error, ErrorKind};

/// `Ok` with a word for a correct answer, or `Err` with what is wrong with it.
pub(super) type Verdict = Result<String, String>;

/// Accepts an error that the facts allow. The container and its image exist, so the error must not
/// say that they are missing. It may say that the container does not run only if the container was
/// harmed.
pub(super) fn right_error(error: &Error, container_was_harmed: bool) -> Verdict {
    match error.kind() {
        ErrorKind::BackendInterrupted
        | ErrorKind::BackendFailed
        | ErrorKind::BackendUnresponsive
        | ErrorKind::InvalidResponse
        | ErrorKind::TimedOut => Ok(format!("{:?}", error.kind())),
        // When a container ends, its mounts disappear, through which podman sees its paths.
        ErrorKind::NotRunning | ErrorKind::Paused | ErrorKind::Stopping | ErrorKind::NoSuchPath
            if container_was_harmed =>
        {
            Ok(format!("{:?}", error.kind()))
        }
        _ => Err(format!("an error of a wrong kind: {error:?}")),
    }
}
