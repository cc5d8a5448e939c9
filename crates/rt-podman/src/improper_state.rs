//! What podman's "container state improper" means: it says the same of a container that is paused, on its way to its end,
//! never started or ended, so the state is looked at, and named.

use std::time::Duration;

use rt_protocol::{Container, ContainerState, Error, ErrorKind, LogOptions, Pull, Until};

use crate::answer::Refusal;
use crate::container::PodmanContainer;
use crate::failure::Failure;

/// How many of the last lines of a log are told, and how many characters of each.
const LINES: u64 = 5;
const LONGEST_LINE: usize = 200;
/// How long the log of a container that has ended may take.
const LOG_LIMIT: Duration = Duration::from_secs(2);

/// The public error of `operation`, for what podman has refused with these words.
pub(crate) fn error(container: &PodmanContainer, operation: &'static str, refusal: &Refusal) -> Error {
    match refusal.failure() {
        Failure::NotRunning => of_state(container, operation, &refusal.stderr),
        _ => refusal.of_container(operation, container.name()),
    }
}

/// The public error of `operation`, which the state of the container forbids. `stderr` is what podman said.
pub(crate) fn of_state(container: &PodmanContainer, operation: &'static str, stderr: &str) -> Error {
    let found = match container.inspect_within(container.engine().limits.read) {
        Ok(Some(found)) if found.is_abandoned() => return abandoned(container, operation),
        Ok(Some(found)) => found.info,
        // It has gone since, or nobody knows: what podman has said stands.
        Ok(None) | Err(_) => return Failure::NotRunning.into_error(operation, container.name(), stderr),
    };
    let about = |error: Error| error.in_container(container.name());
    let error = Error::in_state(&found.state, operation);
    match found.state {
        ContainerState::Paused => {
            about(error).with_hint(format!("unpause it first: `podman unpause {}`", container.name()))
        }
        ContainerState::Stopped | ContainerState::Exited => {
            let code = found.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
            let lines = last_lines(container);
            let log = if lines.is_empty() {
                String::new()
            } else {
                format!("; its log ends with {}", lines.join(", "))
            };
            let message = format!("{}{code}{log}", error.message());
            about(Error::new(error.kind(), operation, message))
                .with_hint("start it first, or see why it has ended")
        }
        _ => about(error),
    }
}

/// The error for a container that podman takes for running, or being stopped, and that has ended. It can only be removed.
pub(crate) fn abandoned(container: &PodmanContainer, operation: &'static str) -> Error {
    let message = "its process has ended, and podman cannot know it, because its conmon was killed";
    Error::new(ErrorKind::NotRunning, operation, message)
        .in_container(container.name())
        .with_hint("remove it by force, and create it again")
}

/// The last lines of the log, in quotation marks; none where they cannot be had soon.
fn last_lines(container: &PodmanContainer) -> Vec<String> {
    let until = Until::after(LOG_LIMIT);
    let Ok(mut log) = container.logs(&LogOptions::new().tail(LINES)) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    while let Ok(Pull::Item(line)) = log.pull(&until) {
        let text: String = String::from_utf8_lossy(&line.bytes).chars().take(LONGEST_LINE).collect();
        lines.push(format!("{:?}", text.trim_end()));
    }
    lines
}
