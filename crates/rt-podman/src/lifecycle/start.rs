//! Starting a container, and leaving none behind that cannot be started.
//!
//! A `podman start` that was ended on its way leaves one of two things (4.3.1). A container that is "initialized": podman
//! cannot start it any more, but stop it. Or one that is "created", for all that podman knows, while conmon and the
//! prepared process are there: the next attempt to prepare it fails, because the OCI runtime knows it already, and takes
//! all of that back.

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
/// From look to look.
const STEP: Duration = Duration::from_millis(20);

/// Starts the container. One that runs stays as it is.
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
        // Somebody's earlier attempt was ended on its way.
        answer = ask();
    }
    match answer.map(Answer::claimed) {
        Ok(Ok(Some(_))) => look(container, until),
        // 4.3 names a container that it has started, and prints nothing of one that runs already. It prints nothing either
        // when somebody has made it leave.
        Ok(Ok(None)) => {
            settle(container, interrupted(OPERATION, "podman ended with exit code 0 and without a word"))
        }
        Ok(Err(refusal)) if refusal.failure() == Failure::NotRunning => {
            Err(improper_state::of_state(container, OPERATION, &refusal.stderr))
        }
        Ok(Err(refusal)) => Err(launch_error(OPERATION, container.name(), &refusal.stderr)),
        Err(error) if error.kind() == ErrorKind::BackendInterrupted => settle(container, error),
        Err(error) => {
            undo(container);
            Err(with_container(error))
        }
    }
}

/// Whether a container has been started of which podman says so: 5.x names one that runs already too, and takes one for
/// running whose conmon was killed. It may have ended again. Where nobody can tell, podman's word stands.
fn look(container: &Target, until: &Until) -> Result<()> {
    match container.inspect_as(OPERATION, container.engine().limits.read, false, until) {
        Ok(Some(found)) if found.is_abandoned() => Err(abandoned(container, OPERATION)),
        Ok(Some(found))
            if matches!(found.info.state, ContainerState::Created | ContainerState::Initialized) =>
        {
            let message = format!("podman answered with success, and its state is {}", found.info.state);
            undo_of(container, &found);
            Err(Error::new(ErrorKind::BackendFailed, OPERATION, message)
                .in_container(container.name())
                .with_hint("start it again"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What a start came to whose client has proved nothing: the state tells.
fn settle(container: &Target, error: Error) -> Result<()> {
    match container.inspect_within(container.engine().limits.read) {
        Ok(Some(found)) if found.info.state.is_running() => return Ok(()),
        Ok(Some(found)) if found.is_abandoned() => return Err(abandoned(container, OPERATION)),
        Ok(Some(found)) => drop(undo_of(container, &found)),
        // Nobody knows; the caller looks again.
        Ok(None) | Err(_) => {}
    }
    Err(error.in_container(container.name()))
}

/// Whether a refused start met what an earlier one has left, which is gone now.
fn is_half_started(container: &Target, failure: Failure) -> bool {
    match failure {
        // By refusing podman has taken it back.
        Failure::HalfStarted => true,
        Failure::Other => undo(container),
        _ => false,
    }
}

/// Takes back what a start that was ended on its way may have left. Whether there was something.
fn undo(container: &Target) -> bool {
    let found = container.inspect_within(container.engine().limits.read);
    found.ok().flatten().is_some_and(|found| undo_of(container, &found))
}

fn undo_of(container: &Target, found: &Inspected) -> bool {
    let engine = container.engine();
    let stop =
        || drop(engine.ask("stop", engine.limits.read, ["stop", "--time=0", "--", found.info.id.as_str()]));
    match found.info.state {
        // Whoever asks for the state next sees whether it helped.
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

/// Whether processes of a container are there that podman takes for one that was never started. While conmon is still at it
/// this waits.
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
