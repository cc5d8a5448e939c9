//! The states of fifty containers.

use rt_protocol::{
    ContainerName, ContainerRuntime, ContainerRuntimeExt, LaunchSpec, NamePrefix, Network, Until,
};

use super::rounds::in_turns;
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::bench::shell;
use crate::live::Live;

const COUNT: usize = 50;

pub(super) fn measure(live: &Live) -> Outcome<Row> {
    let prefix = NamePrefix::new(format!("rtb{}", std::process::id()))?;
    let mut names = Vec::new();
    let measured = fill(live, &prefix, &mut names).and_then(|()| {
        let ours = |()| match live.runtime.states(&prefix, Until::forever())?.len() {
            COUNT => Ok(()),
            count => Err(format!("{count} states of {COUNT}").into()),
        };
        let script =
            "for name; do \"$podman\" container inspect --format '{{.State.Status}}' \"$name\" || exit; done";
        let theirs = |()| shell::run_with_podman(live, script, names.iter().map(ContainerName::as_str));
        in_turns(5, || Ok(()), ours, theirs)
    });
    let _ = live.runtime.force_remove(&names, &Until::forever());
    let what = "the states of 50 containers, and 50 inspects";
    Ok(Row::of("podman-states", what, Unit::Seconds, Target::Ratio(20.0), &measured?))
}

fn fill(live: &Live, prefix: &NamePrefix, names: &mut Vec<ContainerName>) -> Outcome {
    for number in 0..COUNT {
        let spec = LaunchSpec::builder(format!("{prefix}-{number}"), live.image.as_str());
        let spec = spec.network(Network::None).command(["true"]).build()?;
        live.runtime.create(&spec, &Until::forever())?;
        names.push(spec.name().clone());
    }
    Ok(())
}
