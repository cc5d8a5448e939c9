//! Waiting for a container's main process, past the race with its removal.

use rt_protocol::{ContainerState, Error, ErrorKind, ExitOutcome, Result, Until};
use serde_json::Value;

use crate::container::PodmanContainer;
use crate::engine::bad_answer;
use crate::failure::Failure;
use crate::json;

const OPERATION: &str = "wait for";

/// Waits until the main process of `container` has ended.
///
/// By id, so that a container of the same name that comes later is never meant.
pub(crate) fn wait(container: &PodmanContainer, until: &Until) -> Result<ExitOutcome> {
    let limit = container.engine().limits.read;
    let found =
        container.inspect_as(OPERATION, limit, false, until)?.ok_or_else(|| container.no_such(OPERATION))?;
    // podman 4.3 answers 0 for one that never ran.
    if found.info.state == ContainerState::Created {
        return Err(Error::new(ErrorKind::NotRunning, OPERATION, "it was never started")
            .in_container(container.name())
            .with_hint("start it first"));
    }
    let id = found.info.id;
    let about = |error: Error| error.in_container(container.name());
    let answer = container.engine().ask_until(OPERATION, until, ["wait", "--", &id]).map_err(about)?;
    let code = answer.stdout.trim();
    match (answer.ok(), code.parse::<i32>()) {
        // podman up to 5.4.0 answers -1 for a container that is removed as it ends (podman#25479).
        (true, Ok(-1)) => Ok(after_removal(container, &id)),
        (true, Ok(code)) => Ok(ExitOutcome::Code(code)),
        (true, Err(_)) => {
            Err(about(bad_answer(OPERATION, format!("podman answered {code:?}, which is no exit code"))))
        }
        (false, _) => match answer.failure() {
            Failure::NoSuchContainer | Failure::Removed => Ok(after_removal(container, &id)),
            failure => Err(failure.into_error(OPERATION, container.name(), &answer.stderr)),
        },
    }
}

/// The code of a container that was removed as it ended: from its record if that is still there, else from the events.
fn after_removal(container: &PodmanContainer, id: &str) -> ExitOutcome {
    let kept = container.inspect_within(container.engine().limits.read).ok().flatten();
    if let Some(code) = kept.filter(|found| found.info.id == id).and_then(|found| found.info.exit_code) {
        return ExitOutcome::Code(code);
    }
    let args = ["events", "--stream=false", "--since=24h", "--filter=event=died", "--format=json"];
    let answer = container.engine().ask(OPERATION, container.engine().limits.info, args);
    let code =
        answer.ok().filter(crate::engine::Answer::ok).and_then(|answer| last_death(&answer.stdout, id));
    code.map_or(ExitOutcome::Lost, ExitOutcome::Code)
}

/// The exit code of the last death of this container. 4.3.1 leaves code 0 out.
fn last_death(events: &str, id: &str) -> Option<i32> {
    let event = events
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| json::text(event, &["ID"]).as_deref() == Some(id))?;
    match json::field(&event, &["ContainerExitCode"]) {
        Some(code) => json::as_integer(code).and_then(|code| i32::try_from(code).ok()),
        None => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_death_counts_and_a_missing_code_is_zero() {
        let events = "{\"ID\":\"a\",\"ContainerExitCode\":3}\nbroken\n{\"ID\":\"b\"}\n{\"ID\":\"a\",\"ContainerExitCode\":7}\n";
        assert_eq!(last_death(events, "a"), Some(7));
        assert_eq!(last_death(events, "b"), Some(0));
        assert_eq!(last_death(events, "c"), None);
    }
}
