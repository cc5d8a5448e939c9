//! Starts a container, and leaves none behind that cannot be started.
//!
//! An interrupted `podman start` leaves one of two states (4.3.1). The container may be
//! "initialized": podman can no longer start it, but can stop it. Or podman has it as "created"
//! while conmon and the prepared process exist: the next attempt to prepare it fails, because the
//! OCI runtime already knows it, and undoes all of it.

use std::time::{Duration, Instant};

use rt_process::procfs;
use rt_protocol::{ContainerState, Error, ErrorKind, Result, Until};

use crate::cli::answer::{Answer, interrupted};
use crate::cli::failure::{Failure, launch_error};
use crate::state::improper_state::{self, abandoned};
use crate::state::inspect::Inspected;
use crate::state::target::Target;

const OPERATION: &str = "start";

/// How long conmon may go on preparing a container whose client is gone.
const PREPARED: Duration = Duration::from_secs(1);
/// The pause between two checks.
const STEP: Duration = Duration::from_millis(20);

/// Starts the container. No effect if it runs.
pub(crate) fn start(container: &Target, until: &Until) -> Result<()> {
    let with_container = |error: Error| error.in_container(container.name());
    let target = container.id_or_name(until)?;
    let ask = || {
        let limit = container.engine().limits.start;
        container.engine().ask_within(OPERATION, limit, until, ["start", "--", &target])
    };
    let mut answer = ask();
    if let Ok(found) = &answer
        && found.refusal().is_some_and(|refusal| is_half_started(container, refusal.failure()))
    {
        // An earlier attempt was interrupted.
        answer = ask();
    }
    match answer.map(Answer::claimed) {
        Ok(Ok(Some(_))) => look(container, until),
        // 4.3 prints the name of a container that it has started, and nothing if it already runs.
        // It also prints nothing if a signal made it exit.
        Ok(Ok(None)) => {
            settle(container, interrupted(OPERATION, "podman ended with exit code 0 and without a word"))
        }
        Ok(Err(refusal)) if refusal.failure() == Failure::NotRunning => {
            let error = improper_state::of_state(container, OPERATION, &refusal.stderr);
            if error.kind() == ErrorKind::BackendFailed {
                // Its state is no reason: podman has undone what it had prepared, as on a signal.
                return settle(container, interrupted(OPERATION, "podman has started it and found it ended"));
            }
            Err(error)
        }
        Ok(Err(refusal)) => Err(launch_error(OPERATION, container.name(), &refusal.stderr)),
        Err(error) if error.kind() == ErrorKind::BackendInterrupted => settle(container, error),
        Err(error) => {
            undo(container);
            Err(with_container(error))
        }
    }
}

/// Checks that the container was started, after podman says so. 5.x also prints the name of one
/// that already runs, and considers one running whose conmon was killed. It may have ended again.
/// If nothing can be seen, podman's word counts.
fn look(container: &Target, until: &Until) -> Result<()> {
    match container.inspect_as(OPERATION, container.engine().limits.read, false, until) {
        Ok(Some(found)) if is_unstarted(&found) => {
            let message = format!("podman answered with success, and its state is {}", found.info.state);
            undo_of(container, &found);
            Err(Error::new(ErrorKind::BackendFailed, OPERATION, message)
                .in_container(container.name())
                .with_hint("start it again"))
        }
        Ok(Some(found)) if found.is_abandoned() => Err(abandoned(container, OPERATION)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Finds the result of a start whose client has proved nothing, from the container's state.
fn settle(container: &Target, error: Error) -> Result<()> {
    match container.inspect_within(container.engine().limits.read) {
        Ok(Some(found)) if found.info.state.is_running() => return Ok(()),
        // Before it has started, its process and its conmon may be gone, and it can be started all
        // the same.
        Ok(Some(found)) if found.is_abandoned() && !is_unstarted(&found) => {
            return Err(abandoned(container, OPERATION));
        }
        Ok(Some(found)) => drop(undo_of(container, &found)),
        // Unknown; the caller checks again.
        Ok(None) | Err(_) => {}
    }
    Err(error.in_container(container.name()))
}

fn is_unstarted(found: &Inspected) -> bool {
    matches!(found.info.state, ContainerState::Created | ContainerState::Initialized)
}

/// Returns whether a refused start met the rest of an earlier one, which is gone now.
fn is_half_started(container: &Target, failure: Failure) -> bool {
    match failure {
        // By refusing, podman has undone it.
        Failure::HalfStarted => true,
        Failure::Other => undo(container),
        _ => false,
    }
}

/// Undoes what an interrupted start may have left. Returns whether there was something.
fn undo(container: &Target) -> bool {
    let found = container.inspect_within(container.engine().limits.read);
    found.ok().flatten().is_some_and(|found| undo_of(container, &found))
}

fn undo_of(container: &Target, found: &Inspected) -> bool {
    let engine = container.engine();
    let stop =
        || drop(engine.ask("stop", engine.limits.read, ["stop", "--time=0", "--", found.info.id.as_str()]));
    match found.info.state {
        // The next look at the state shows whether it helped.
        ContainerState::Initialized => stop(),
        ContainerState::Created if is_being_prepared(found) => {
            let prepared = engine.ask("prepare", engine.limits.read, ["init", "--", found.info.id.as_str()]);
            if matches!(prepared.map(Answer::claimed), Ok(Ok(_))) {
                // Nothing was in the way, so it is prepared now.
                stop();
            }
        }
        _ => return false,
    }
    true
}

/// Returns whether processes exist of a container that podman considers never started. Waits while
/// conmon is still preparing it.
fn is_being_prepared(found: &Inspected) -> bool {
    let begun = Instant::now();
    while found.conmon().is_some_and(is_alive) {
        if found.prepared().is_some_and(is_alive) || begun.elapsed() > PREPARED {
            return true;
        }
        std::thread::sleep(STEP);
    }
    false
}

fn is_alive(pid: u32) -> bool {
    matches!(procfs::entry(pid), Ok(Some(entry)) if !entry.is_zombie)
}
