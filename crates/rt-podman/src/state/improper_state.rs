//! What podman's "container state improper" means: it says the same of a container that is paused, on its way to its end,
//! never started or ended, so the state is looked at, and named.

use rt_protocol::{ContainerState, Error, ErrorKind};

use super::target::Target;
use crate::cli::answer::Refusal;
use crate::cli::failure::Failure;
use crate::logs::PodmanLogStream;

/// The public error of `operation`, for what podman has refused with these words.
pub(crate) fn error(container: &Target, operation: &'static str, refusal: &Refusal) -> Error {
    match refusal.failure() {
        Failure::NotRunning => of_state(container, operation, &refusal.stderr),
        _ => refusal.of_container(operation, container.name()),
    }
}

/// The public error of `operation`, which the state of the container forbids. `stderr` is what podman said.
pub(crate) fn of_state(container: &Target, operation: &'static str, stderr: &str) -> Error {
    let found = match container.inspect_within(container.engine().limits.read) {
        Ok(Some(found)) if found.is_abandoned() => return abandoned(container, operation),
        Ok(Some(found)) => found.info,
        // It has gone since, or nobody knows: what podman has said stands.
        Ok(None) | Err(_) => return Failure::NotRunning.into_error(operation, container.name(), stderr),
    };
    let error = Error::not_serving(container.name(), &found, operation, |options, until| {
        Ok(Box::new(PodmanLogStream::open(container, options, until)?))
    });
    match found.state {
        ContainerState::Paused => {
            error.with_hint(format!("unpause it first: `podman unpause {}`", container.name()))
        }
        _ => error,
    }
}

/// The error for a container that podman takes for running, or being stopped, and that has ended. It can only be removed.
pub(crate) fn abandoned(container: &Target, operation: &'static str) -> Error {
    let message = "its process has ended, and podman cannot know it, because its conmon was killed";
    Error::new(ErrorKind::NotRunning, operation, message)
        .in_container(container.name())
        .with_hint("remove it by force, and create it again")
}
