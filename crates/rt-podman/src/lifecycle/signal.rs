//! Sends a signal to the main process of a container.
//!
//! podman 4.3.1 takes KILL for a paused container, waits for an end that does not come, and then
//! has it as stopped while its processes live on. So the state is looked at first.

use rt_protocol::{ContainerState, ErrorKind, Result, Signal, Until};

use crate::cli::answer::Answer;
use crate::cli::failure::Failure;
use crate::state::improper_state;
use crate::state::target::Target;

const OPERATION: &str = "signal";

/// Sends `signal` by `podman kill`, which prints the name once it was sent.
pub(crate) fn kill(container: &Target, signal: Signal, until: &Until) -> Result<()> {
    let engine = container.engine();
    let found = container.inspect_as(OPERATION, engine.limits.read, false, until)?;
    let found = found.ok_or_else(|| container.no_such(OPERATION))?;
    if !matches!(found.info.state, ContainerState::Running | ContainerState::Stopping) || found.is_abandoned()
    {
        return Err(improper_state::of_found(container, OPERATION, &found));
    }
    let limit = engine.limits.start;
    // By number: podman knows fewer names.
    let word = format!("--signal={}", signal.number());
    let answer = engine.ask_within(OPERATION, limit, until, ["kill", &word, "--", found.info.id.as_str()]);
    match answer.and_then(Answer::printed) {
        Ok(Ok(_)) => Ok(()),
        // After a KILL podman 4.3.1 waits for conmon's report, and fails after 5 s if conmon was
        // killed.
        Ok(Err(refusal))
            if signal == Signal::KILL && refusal.failure() == Failure::Other && has_ended(container) =>
        {
            Ok(())
        }
        Ok(Err(refusal)) => Err(improper_state::error(container, OPERATION, &refusal)),
        Err(error)
            if signal == Signal::KILL
                && error.kind() == ErrorKind::BackendInterrupted
                && has_ended(container) =>
        {
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::BackendInterrupted => {
            Err(error.in_container(container.name()).with_hint("it may have got the signal; see its state"))
        }
        Err(error) => Err(error.in_container(container.name())),
    }
}

/// Returns whether the container has ended, after an answer that does not tell.
fn has_ended(container: &Target) -> bool {
    let found = container.inspect_within(container.engine().limits.read).ok().flatten();
    found.is_some_and(|found| found.info.state.has_exited())
}
