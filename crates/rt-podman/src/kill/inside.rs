//! Ending a command by a second exec, where the host cannot see the container's processes.

use std::time::Duration;

use rt_process::{InsideEnding, Marker};

use crate::container::PodmanContainer;

/// How long the second exec may take: the grace periods of its script, and podman's own time.
const LIMIT: Duration = Duration::from_secs(8);

/// Ends the command from inside. `why` is the reason for which the host could not.
pub(crate) fn end(container: &PodmanContainer, marker: &Marker, why: &str) -> InsideEnding {
    let target = match container.target() {
        Ok(target) => target,
        Err(error) => return InsideEnding::unknown(format!("the host cannot look ({why}), and {error}")),
    };
    let script = InsideEnding::argv(marker);
    let mut args = vec!["exec", "--user=0", "--", &target];
    args.extend(script.iter().map(String::as_str));
    match container.engine().ask("end a command in", LIMIT, args) {
        Ok(answer) if answer.ok() => InsideEnding::read(&answer.stdout),
        Ok(answer) => InsideEnding::unknown(format!(
            "the host cannot look ({why}), and the image cannot help: {}",
            crate::failure::shown(&answer.stderr)
        )),
        Err(error) => InsideEnding::unknown(format!("the host cannot look ({why}), and {error}")),
    }
}
