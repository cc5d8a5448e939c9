//! Waits for a container's main process, even if the container is removed as it ends.

use std::time::Duration;

use rt_process::procfs;
use rt_protocol::{ContainerState, Error, ErrorKind, EventAction, ExitOutcome, Result, Until};

use crate::cli::answer::Answer;
use crate::cli::engine::invalid_response;
use crate::cli::failure::Failure;
use crate::events::line::EventLine;
use crate::state::improper_state;
use crate::state::inspect::{Inspected, is_exit_code};
use crate::state::target::Target;

const OPERATION: &str = "wait for";

/// How long podman may clean up. It never does if somebody has killed the container's conmon.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(10);
/// The pause between two looks at it.
const STEP: Duration = Duration::from_millis(20);

/// Waits until the main process of `container` has ended.
///
/// By id, so that a later container with the same name is never meant.
pub(crate) fn wait(container: &Target, until: &Until) -> Result<ExitOutcome> {
    let look = || container.inspect_as(OPERATION, container.engine().limits.read, false, until);
    let found = look()?.ok_or_else(|| container.no_such(OPERATION))?;
    // podman 4.3 returns 0 for a container that never ran; the state shows it on every version.
    if found.info.state == ContainerState::Created {
        return Err(Error::new(ErrorKind::NotRunning, OPERATION, "it was never started")
            .in_container(container.name())
            .with_hint("start it first"));
    }
    if ends_unreported(container, &found, until)? {
        return Ok(ExitOutcome::Lost);
    }
    let id = found.info.id.as_str();
    let with_container = |error: Error| error.in_container(container.name());
    let answer = container.engine().ask_until(OPERATION, until, ["wait", "--", id]);
    let verdict = answer.and_then(Answer::printed).map_err(with_container)?;
    // 20 s after conmon was killed podman 4.3.1 answers, even if the main process runs on: with an
    // error, or with the exit code of an earlier run. Other versions answer -1.
    let now = look().ok().flatten().filter(|now| now.info.id == found.info.id);
    if let Some(now) = now.as_ref().filter(|now| now.info.started_at == found.info.started_at)
        && ends_unreported(container, now, until)?
    {
        return Ok(ExitOutcome::Lost);
    }
    let code = match verdict {
        Ok(code) => code,
        Err(refusal) => match refusal.failure() {
            Failure::NoSuchContainer | Failure::Removed => {
                return after_removal(container, id).map_err(with_container);
            }
            _ => return Err(improper_state::error(container, OPERATION, &refusal)),
        },
    };
    match code.trim().parse::<i32>() {
        Ok(code) if is_exit_code(code) => {
            wait_for_clean_up(container, now, until);
            Ok(ExitOutcome::Code(code))
        }
        // podman up to 5.4.0 returns -1 for a container that is removed as it ends (podman#25479).
        // No main process has this exit code, so the version does not matter.
        Ok(_) => after_removal(container, id).map_err(with_container),
        Err(_) => {
            let message = format!("podman answered {:?}, which is no exit code", code.trim());
            Err(with_container(invalid_response(OPERATION, message)))
        }
    }
}

/// Returns whether the container's conmon is gone, so that its exit code is lost. Waits for the end
/// of the main process then, because podman would not.
fn ends_unreported(container: &Target, found: &Inspected, until: &Until) -> Result<bool> {
    let Some(main) = found.unwatched_process() else {
        // As the inspection has found twice. At first sight, podman may be about to record the end
        // that its conmon has reported.
        return Ok(found.info.state == ContainerState::Stopped && found.is_abandoned());
    };
    while matches!(procfs::is_running(&main), Ok(true)) {
        until.sleep(STEP).map_err(|stop| Error::stopped(stop, OPERATION).in_container(container.name()))?;
    }
    Ok(true)
}

/// Waits until podman has cleaned up after the container's end. Before that a copy can fail,
/// because podman is unmounting the container. The exit code is known, so nothing here is an error.
fn wait_for_clean_up(container: &Target, mut now: Option<Inspected>, until: &Until) {
    let limit = until.clone().or_after(CLEAN_UP_LIMIT);
    while let Some(found) = now
        && found.info.state == ContainerState::Stopped
        && limit.sleep(STEP).is_ok()
    {
        let next = container.inspect_as(OPERATION, container.engine().limits.read, false, &limit);
        now = next.ok().flatten().filter(|next| next.info.id == found.info.id);
    }
}

/// Returns the exit code of a container that was removed as it ended: from its record if that still
/// exists, else from the events.
fn after_removal(container: &Target, id: &str) -> Result<ExitOutcome> {
    let kept = container.inspect_within(container.engine().limits.read)?;
    if let Some(code) =
        kept.filter(|found| found.info.id.as_str() == id).and_then(|found| found.info.exit_code)
    {
        return Ok(ExitOutcome::Code(code));
    }
    // Without a time, podman reads a journal of months from its beginning. But clocks are set, and
    // then the time of the event is wrong.
    for since in [Some("--since=24h"), None] {
        let of = format!("--filter=container={id}");
        let args = ["events", "--stream=false", &of, "--filter=event=died", "--format=json"].into_iter();
        let events =
            match container.engine().ask(OPERATION, container.engine().limits.info, args.chain(since)) {
                // That journal was too long.
                Err(_) if since.is_none() => break,
                events => events?,
            };
        // A podman without an event log refuses; then the code is unknown.
        let Ok(events) = events.told()? else { break };
        if let Some(code) = last_death(&events, id) {
            return Ok(if is_exit_code(code) { ExitOutcome::Code(code) } else { ExitOutcome::Lost });
        }
    }
    Ok(ExitOutcome::Lost)
}

/// Returns the exit code of the last death of this container, if the event has one.
fn last_death(events: &str, id: &str) -> Option<i32> {
    events
        .lines()
        .rev()
        .find_map(|line| match EventLine::decode(line.as_bytes()) {
            EventLine::Told { event, .. } => (event.action == EventAction::Died
                && event.id.as_ref().is_some_and(|of| of.as_str() == id))
            .then_some(event.exit_code),
            EventLine::Other | EventLine::Malformed => None,
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_death_counts() {
        let old = |id: &str, code: &str| {
            format!(r#"{{{code}"ID":"{id}","Name":"c","Status":"died","Time":"2026-11-21T20:39:51Z"}}"#)
        };
        let new = r#"{"ID":"d","Name":"c","Status":"died","time":1795293700,"timeNano":1795293700384327544}"#;
        let lines = [
            old("a", r#""ContainerExitCode":3,"#),
            "broken".into(),
            old("b", ""),
            old("a", r#""ContainerExitCode":7,"#),
            new.into(),
        ];
        let events = lines.join("\n");
        assert_eq!(last_death(&events, "a"), Some(7));
        assert_eq!(last_death(&events, "b"), Some(0));
        assert_eq!(last_death(&events, "d"), None);
        assert_eq!(last_death(&events, "c"), None);
    }
}
