//! The removal of thirty running containers. What a failing turn leaves behind goes with the store.

use rt_protocol::{ContainerName, ContainerRuntime, ContainerRuntimeExt, Until};

use super::rounds::in_turns;
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::bench::shell;
use crate::live::Live;
use crate::sandbox::Sandbox;

const COUNT: usize = 30;

pub(super) fn measure(live: &Live) -> Outcome<Row> {
    let running = || -> Outcome<Vec<ContainerName>> {
        let launch = |_| {
            let spec = Sandbox::spec(live).command(["sleep", "777777"]).build()?;
            live.runtime.launch(&spec, Until::forever())?;
            Ok(spec.name().clone())
        };
        (0..COUNT).map(launch).collect()
    };
    let ours = |names: Vec<ContainerName>| {
        let results = live.runtime.force_remove(&names, &Until::forever());
        results.into_iter().find_map(|result| result.error).map_or(Ok(()), |error| Err(error.into()))
    };
    let theirs = |names: Vec<ContainerName>| {
        let script = "for name; do \"$podman\" rm -f -t 0 \"$name\" || exit; done";
        shell::run_with_podman(live, script, names.iter().map(ContainerName::as_str))
    };
    let rounds = in_turns(3, running, ours, theirs)?;
    Ok(Row::of(
        "podman-force-remove",
        "30 running ones at once, and 30 times `podman rm -f -t 0`",
        Unit::Seconds,
        Target::Ratio(2.5),
        &rounds,
    ))
}
