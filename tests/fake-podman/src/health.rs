//! Health checks: the command of `--health-cmd`, run by `podman healthcheck run` alone. podman has
//! timers of systemd run it as well; there are none here, as there are none on the hosts of the
//! recordings.

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::Status;
use crate::exec;

/// `podman healthcheck run`: runs the check once and notes what it said.
pub(crate) fn run(call: &Call) -> Reply {
    let name = call.operand()?;
    let found = call.store.find(&call.store.lock()?, &call.profile, name)?;
    let container = found.ok_or_else(|| call.profile.refusal("health-no-container", &[("name", name)]))?;
    let id = container.id.as_str();
    let Some(health) = &container.health else {
        return Err(call.profile.refusal("health-no-check", &[("id", id)]));
    };
    if container.state.status != Status::Running {
        return Err(call.profile.refusal("health-not-running", &[("id", id)]));
    }
    // What the check writes goes into podman's record, and to nobody here.
    let quiet = format!("exec >/dev/null 2>&1; {}", health.command);
    let words = ["/bin/sh".to_owned(), "-c".to_owned(), quiet];
    let passed = exec::command_in(call, &container, &words)?.code == 0;
    let lock = call.store.lock()?;
    if let Some(mut container) = call.store.container(&lock, id)? {
        container.health.iter_mut().for_each(|health| health.record(passed));
        call.store.save(&lock, &container)?;
    }
    Ok(if passed { Answer::silent() } else { Answer { code: 1, ..Answer::out("unhealthy\n") } })
}
