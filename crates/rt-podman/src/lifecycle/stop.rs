//! Stops a container without ever killing the client that does it.
//!
//! A `podman stop` that is killed half-way can leave its container in "stopping" forever
//! (podman#11274). So the client is watched, and left to finish by itself if it takes too long.

use std::time::{Duration, Instant};

use rt_process::{Finished, Process, Streams, with_process};
use rt_protocol::{ContainerState, Error, ErrorKind, OutputLimit, Result, Until};

use crate::cli::answer::Answer;
use crate::cli::engine::process_error;
use crate::state::improper_state;
use crate::state::target::Target;

const OPERATION: &str = "stop";

/// How long a container may still run after its grace period.
const RUNNING_LIMIT: Duration = Duration::from_secs(15);
/// How much longer podman may clean up after the main process has ended.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(60);
/// The pause between two checks after the grace period.
const STEP: Duration = Duration::from_secs(1);

/// The longest grace period, in seconds: 68 years. podman counts nanoseconds in 63 bits, and kills
/// at once if they overflow.
const LONGEST_GRACE: u64 = i32::MAX as u64;

/// Stops `container`: TERM, `grace` in whole seconds rounded up, KILL.
pub(crate) fn stop(container: &Target, grace: Duration, until: &Until) -> Result<()> {
    let seconds = grace.as_secs().saturating_add(u64::from(grace.subsec_nanos() > 0)).min(LONGEST_GRACE);
    let target = container.id_or_name(until)?;
    let run = container.known_target();
    let call = container.engine().call(["stop", "--time", &seconds.to_string(), "--", &target]);
    let streams = Streams::captured(OutputLimit::bytes(4 << 10), OutputLimit::bytes(64 << 10));
    let grace = Duration::from_secs(seconds);
    let with_container = |error: Error| error.in_container(container.name());
    let finished = with_process(&call.spec, streams, |process| watch(container, process, grace, until))
        .map_err(|error| process_error(OPERATION, error))
        .and_then(|watched| watched)
        .map_err(with_container)?;
    match call.answer(OPERATION, finished).and_then(Answer::printed) {
        // A printed name proves less than the end of the process that this host can see.
        Ok(Ok(_)) if run.is_some_and(|run| run.init_is_alive() == Some(false)) => Ok(()),
        Ok(Ok(_)) => look(container, until),
        Ok(Err(refusal)) => Err(improper_state::error(container, OPERATION, &refusal)),
        Err(error) => settle(container, error),
    }
}

/// Checks that the container has stopped, after podman says so. If nothing can be seen, podman's
/// word counts.
fn look(container: &Target, until: &Until) -> Result<()> {
    match container.inspect_as(OPERATION, container.engine().limits.read, false, until) {
        Ok(Some(found)) if is_at_work(&found.info.state) => {
            let message = format!("podman answered with success, and its state is {}", found.info.state);
            Err(Error::new(ErrorKind::BackendFailed, OPERATION, message)
                .in_container(container.name())
                .with_hint(
                    "see whether somebody has started it again; if not, stop it again or remove it by force",
                ))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns whether its main process still runs.
fn is_at_work(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Running | ContainerState::Stopping | ContainerState::Paused)
}

/// Finds the result of a stop whose client was interrupted, from the container's state.
fn settle(container: &Target, error: Error) -> Result<()> {
    match container.inspect_within(container.engine().limits.read) {
        Ok(Some(found)) if found.info.state.has_exited() => Ok(()),
        Ok(Some(found)) => {
            let message = format!("{}; its state is {}", error.message(), found.info.state);
            Err(Error::new(error.kind(), OPERATION, message)
                .in_container(container.name())
                .with_hint("stop it again, or remove it by force"))
        }
        Ok(None) | Err(_) => Err(error.in_container(container.name())),
    }
}

fn watch(container: &Target, process: &mut Process<'_>, grace: Duration, until: &Until) -> Result<Finished> {
    let begun = Instant::now();
    let limit = grace + RUNNING_LIMIT;
    loop {
        let step = limit.saturating_sub(begun.elapsed()).max(STEP);
        if process.drive(&until.clone().or_after(step)).is_ok() {
            return Ok(process.finish());
        }
        if let Err(stop) = until.check() {
            process.detach();
            return Err(
                Error::stopped(stop, OPERATION).with_hint("podman goes on stopping it; ask for its state")
            );
        }
        let elapsed = begun.elapsed();
        if elapsed < limit {
            continue;
        }
        // Only now, and rarely: an inspect waits for the lock that the stopping client may hold.
        let state =
            container.inspect_within(Duration::from_secs(5)).ok().flatten().map(|found| found.info.state);
        if state.as_ref().is_some_and(is_at_work) || elapsed >= limit + CLEAN_UP_LIMIT {
            process.detach();
            let state = state.map_or_else(|| String::from("unknown"), |state| state.to_string());
            let message =
                format!("after {} s its state is {state}; podman goes on by itself", elapsed.as_secs());
            return Err(Error::new(ErrorKind::BackendFailed, OPERATION, message)
                .with_hint("look after podman, or remove the container by force"));
        }
    }
}
