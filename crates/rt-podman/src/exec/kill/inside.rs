//! Ends or signals a command by a second exec, if the host cannot see the container's processes.

use rt_process::{ExecMarker, RemoteKill, RemoteSignal};
use rt_protocol::{KillOutcome, KillReport, Signal, Until, User};

use crate::cli::answer::Answer;
use crate::state::target::Target;

/// Ends the command from inside, within
/// [`TimeLimits::kill_inside`](rt_protocol::TimeLimits::kill_inside). `why` is why the host could
/// not.
///
/// Runs as the command's own user, who may read its processes; root in a container may not always
/// read those of others. If that user finds none, it runs as root, for a program that has become
/// root.
pub(crate) fn end(container: &Target, marker: &ExecMarker, user: Option<&User>, why: &str) -> KillReport {
    let until = Until::after(container.engine().limits.kill_inside);
    let own = user.map(|user| format!("--user={user}"));
    let ending = end_as(container, marker, own.as_deref(), why, &until);
    if matches!(ending.outcome, KillOutcome::Unknown(_)) {
        let by_root = end_as(container, marker, Some("--user=0"), why, &until);
        if !matches!(by_root.outcome, KillOutcome::Unknown(_)) {
            return by_root;
        }
    }
    ending
}

fn end_as(
    container: &Target,
    marker: &ExecMarker,
    user: Option<&str>,
    why: &str,
    until: &Until,
) -> KillReport {
    match run(container, &RemoteKill::argv(marker), user, until) {
        Ok(said) => RemoteKill::parse(&said).into(),
        Err(what) => KillReport::unknown(format!("the host cannot look ({why}), and {what}")),
    }
}

/// Sends a signal to the process group of the command from inside, as the command's own user.
///
/// # Errors
/// Why nothing is known.
pub(crate) fn signal(
    container: &Target,
    marker: &ExecMarker,
    user: Option<&User>,
    signal: Signal,
    until: &Until,
) -> Result<RemoteSignal, String> {
    let own = user.map(|user| format!("--user={user}"));
    let said = run(container, &RemoteSignal::argv(marker, signal), own.as_deref(), until)?;
    Ok(RemoteSignal::parse(&said))
}

/// Runs a script inside and returns its stdout.
fn run(container: &Target, script: &[String], user: Option<&str>, until: &Until) -> Result<String, String> {
    let target = container.id_or_name(until).map_err(|error| error.to_string())?;
    let mut args = vec!["exec"];
    args.extend(user);
    args.extend(["--", &target]);
    args.extend(script.iter().map(String::as_str));
    let answer = container.engine().ask_until("end a command in", until, args);
    match answer.and_then(Answer::printed) {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(refusal)) => {
            Err(format!("the image cannot help: {}", crate::cli::failure::shown(&refusal.stderr)))
        }
        Err(error) => Err(error.to_string()),
    }
}
