//! Ending a command by a second exec, where the host cannot see the container's processes.

use rt_process::{ExecMarker, RemoteKill};
use rt_protocol::{KillOutcome, KillReport, Until, User};

use crate::cli::answer::Answer;
use crate::state::target::Target;

/// Ends the command from inside, within [`TimeLimits::kill_inside`](rt_protocol::TimeLimits::kill_inside). `why` is the
/// reason for which the host could not.
///
/// By the command's own user, who may look into its processes; root in a container may not look into those of others. Where
/// that user finds none, root may: of a program that has become root.
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
    let unknown = |what: String| KillReport::unknown(format!("the host cannot look ({why}), and {what}"));
    let target = match container.id_or_name(until) {
        Ok(target) => target,
        Err(error) => return unknown(error.to_string()),
    };
    let script = RemoteKill::argv(marker);
    let mut args = vec!["exec"];
    args.extend(user);
    args.extend(["--", &target]);
    args.extend(script.iter().map(String::as_str));
    let answer = container.engine().ask_until("end a command in", until, args);
    match answer.and_then(Answer::printed) {
        Ok(Ok(said)) => RemoteKill::parse(&said).into(),
        Ok(Err(refusal)) => {
            unknown(format!("the image cannot help: {}", crate::cli::failure::shown(&refusal.stderr)))
        }
        Err(error) => unknown(error.to_string()),
    }
}
