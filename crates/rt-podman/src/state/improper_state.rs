//! The meaning of podman's "container state improper". podman says it for a container that is
//! paused, stopping, never started or exited, so the state is read and named.

use rt_protocol::{ContainerState, Error, ErrorKind};

use super::inspect::Inspected;
use super::target::Target;
use crate::cli::answer::Refusal;
use crate::cli::failure::Failure;
use crate::logs::PodmanLogStream;

/// Builds the public error of `operation` that podman has refused with these words.
pub(crate) fn error(container: &Target, operation: &'static str, refusal: &Refusal) -> Error {
    match refusal.failure() {
        Failure::NotRunning => of_state(container, operation, &refusal.stderr),
        _ => refusal.of_container(operation, container.name()),
    }
}

/// Builds the public error of `operation` that the container's state does not allow. `stderr` is
/// podman's text.
pub(crate) fn of_state(container: &Target, operation: &'static str, stderr: &str) -> Error {
    match container.inspect_within(container.engine().limits.read) {
        Ok(Some(found)) => of_found(container, operation, &found),
        // It was removed meanwhile, or its state is unknown: podman's text stands.
        Ok(None) | Err(_) => Failure::NotRunning.into_error(operation, container.name(), stderr),
    }
}

/// Builds the same error for a container that was found in this state.
pub(crate) fn of_found(container: &Target, operation: &'static str, found: &Inspected) -> Error {
    if found.is_abandoned() {
        return abandoned(container, operation);
    }
    if found.info.state.is_running() && found.has_lost_first_process() {
        let message = "its process has ended, which podman does not know yet";
        return Error::new(ErrorKind::NotRunning, operation, message)
            .in_container(container.name())
            .with_hint("ask again");
    }
    let found = &found.info;
    let error = Error::not_serving(container.name(), found, operation, |options, until| {
        Ok(Box::new(PodmanLogStream::open(container, options, until)?))
    });
    match found.state {
        ContainerState::Paused => {
            error.with_hint(format!("unpause it first: `podman unpause {}`", container.name()))
        }
        _ => error,
    }
}

/// Builds the error for a container that has ended but that podman considers running or stopping.
/// It can only be removed.
pub(crate) fn abandoned(container: &Target, operation: &'static str) -> Error {
    let message = "its process has ended, and podman cannot know it, because its conmon was killed";
    Error::new(ErrorKind::NotRunning, operation, message)
        .in_container(container.name())
        .with_hint("remove it by force, and create it again")
}
