//! Containers that are paused, by podman's own client.

use std::time::Duration;

use rt_protocol::{ContainerRuntime, ContainerState, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("pausing: a paused container is told, and goes on where it was", told),
    ("pausing: a paused container is removed, and nothing of it is left", removed),
];

fn told(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    live.plain(&["pause", sandbox.name.as_str()])?;
    assert_eq!(sandbox.container.state()?, Some(ContainerState::Paused));
    live.plain(&["unpause", sandbox.name.as_str()])?;
    assert_eq!(sandbox.container.state()?, Some(ContainerState::Running));
    assert!(sandbox.sh("true")?.ok());
    Ok(())
}

fn removed(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.as_str();
    let pid = live.plain(&["inspect", "--format={{.State.Pid}}", name])?.trim().parse()?;
    let main = rt_process::census::entry(pid)?.ok_or("no main process")?;
    live.plain(&["pause", name])?;
    let results = live
        .runtime
        .force_remove(std::slice::from_ref(&sandbox.name), &Until::after(Duration::from_secs(60)));
    assert!(results.iter().all(|result| result.removed), "{results:?}");
    let now = rt_process::census::entry(pid)?;
    assert!(now.is_none_or(|now| now.start_time != main.start_time || now.is_zombie), "{name} goes on");
    Ok(())
}
