//! `podman start` and `podman run`: from a container that is made to one that runs.

use std::io::Read;
use std::process::Stdio;

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::{creation, lifecycle, log, removal, spawn};

/// What a supervisor says when the container runs. Anything else is a refusal: an exit code, a line
/// end, and words.
pub(crate) const STARTED: &str = "started";

pub(crate) fn start(call: &Call) -> Reply {
    let ids = lifecycle::ids(call)?;
    let mut answer = Answer::silent();
    for (word, id) in call.words.operands.iter().zip(ids) {
        let was_running = start_one(call, &id)?;
        if !was_running || call.profile.has("start-names-the-running") {
            answer.stdout.extend(format!("{word}\n").into_bytes());
        }
    }
    Ok(answer)
}

/// Starts a container; whether it ran already.
fn start_one(call: &Call, id: &str) -> Result<bool, Answer> {
    let _one_at_a_time = call.store.lock_start(id)?;
    let known = call.store.container(&call.store.lock()?, id)?;
    let known = known.ok_or_else(|| call.profile.refusal("no-container", &[("name", id)]))?;
    if known.state.status.is_alive() {
        return Ok(true);
    }
    let mut supervisor =
        spawn::own("@supervise", [id])?.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut said = String::new();
    if let Some(stdout) = &mut supervisor.stdout {
        stdout.read_to_string(&mut said)?;
    }
    if said == STARTED {
        // It outlives this process, and is its own session's leader.
        return Ok(false);
    }
    supervisor.wait()?;
    let (code, text) = said.split_once('\n').unwrap_or(("125", "Error: fake-podman: its supervisor died"));
    Err(Answer::refused(code.parse().unwrap_or(125), text.trim_end()))
}

pub(crate) fn run(call: &Call) -> Reply {
    let id = creation::make(call)?;
    let started = start_one(call, &id);
    if let Err(refusal) = started {
        let keeps = matches!(refusal.code, 126 | 127) && !call.words.has("rm");
        if !keeps {
            removal::delete(call, &id)?;
        }
        return Err(refusal);
    }
    if call.words.has("detach") {
        return Ok(Answer::out(format!("{id}\n")));
    }
    log::follow(call, &id)?;
    let code = lifecycle::wait_for_exit(call, &id)?.unwrap_or_default();
    Ok(Answer::code(u8::try_from(code).unwrap_or_default()))
}
