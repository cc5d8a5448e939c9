//! Containers that are paused, by podman's own client, and others that their control groups alone
//! hold together.

use std::time::Duration;

use rt_protocol::{Container, ContainerExt, ContainerRuntime, ContainerState, ErrorKind, ExitOutcome, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};
use crate::freezer::Freezer;

pub(crate) const CASES: &[Case] = &[
    ("pausing: a paused container is told, and goes on where it was", told),
    (
        "removal: a container that shares its process namespace goes with all that runs of it",
        removed_with_all,
    ),
    ("pausing: a paused container is removed, and nothing of it is left", removed),
    ("pausing: a container that is frozen behind podman's back is removed too", removed_while_frozen),
    ("pausing: an unpause is done even if the container ends at once", ended_by_unpause),
];

fn told(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    live.plain(&["pause", sandbox.name.as_str()])?;
    assert_eq!(sandbox.container.state(Until::forever())?, Some(ContainerState::Paused));
    let until = Until::after(Duration::from_secs(60));
    for error in [sandbox.sh("true").unwrap_err(), sandbox.container.start(&until).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Paused, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("podman unpause")), "{error}");
    }
    live.plain(&["unpause", sandbox.name.as_str()])?;
    assert_eq!(sandbox.container.state(Until::forever())?, Some(ContainerState::Running));
    assert!(sandbox.sh("true")?.success());
    Ok(())
}

/// The clock of a `sleep` goes on while it is frozen.
fn ended_by_unpause(live: &Live) -> Outcome {
    const SLEEP: Duration = Duration::from_secs(4);
    let until = Until::after(Duration::from_secs(60));
    let launch = |()| Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sleep", "4"]));
    let sandboxes = [(); 3].map(launch).into_iter().collect::<Result<Vec<_>, _>>()?;
    for sandbox in &sandboxes {
        sandbox.container.pause(&until)?;
    }
    std::thread::sleep(SLEEP);
    for sandbox in &sandboxes {
        sandbox.container.unpause(&until)?;
        assert_eq!(sandbox.container.wait(&until)?, ExitOutcome::Code(0));
    }
    Ok(())
}

fn removed(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.as_str();
    let pid = live.plain(&["inspect", "--format={{.State.Pid}}", name])?.trim().parse()?;
    let main = rt_process::procfs::entry(pid)?.ok_or("no main process")?;
    live.plain(&["pause", name])?;
    let results = live
        .runtime
        .force_remove(std::slice::from_ref(&sandbox.name), &Until::after(Duration::from_secs(60)));
    assert!(results.iter().all(|result| result.removed), "{results:?}");
    let now = rt_process::procfs::entry(pid)?;
    assert!(now.is_none_or(|now| now.start_time != main.start_time || now.is_zombie), "{name} goes on");
    Ok(())
}

/// So a `podman pause` or `unpause` leaves it whose client is ended before it has written the state
/// down.
fn removed_while_frozen(live: &Live) -> Outcome {
    for is_paused in [false, true] {
        removed_while_misjudged(live, is_paused)?;
    }
    Ok(())
}

fn removed_while_misjudged(live: &Live, is_paused: bool) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let pid = live.plain(&["inspect", "--format={{.State.Pid}}", sandbox.name.as_str()])?.trim().parse()?;
    let main = rt_process::procfs::entry(pid)?.ok_or("no main process")?;
    let freezer = Freezer::of(pid)?;
    if is_paused {
        live.plain(&["pause", sandbox.name.as_str()])?;
    }
    freezer.set_frozen(!is_paused)?;
    let results = live
        .runtime
        .force_remove(std::slice::from_ref(&sandbox.name), &Until::after(Duration::from_secs(60)));
    assert!(results.iter().all(|result| result.removed), "{results:?}");
    let now = rt_process::procfs::entry(pid)?;
    assert!(now.is_none_or(|now| now.start_time != main.start_time || now.is_zombie), "it goes on");
    Ok(())
}

/// Nothing of it has to end with its main process; while it is being stopped podman kills nothing
/// else.
fn removed_with_all(live: &Live) -> Outcome {
    const SECONDS: &str = "777778.25";
    let others = || -> Result<Vec<u32>, crate::case::Problem> {
        let is_other = |pid: u32| {
            let words = rt_process::procfs::command_line(pid).ok().flatten().unwrap_or_default();
            words.iter().any(|word| word == SECONDS)
        };
        let entries = rt_process::procfs::snapshot()?.into_iter().filter(|entry| !entry.is_zombie);
        Ok(entries.map(|entry| entry.pid).filter(|pid| is_other(*pid)).collect())
    };
    for is_stopping in [false, true] {
        let script = format!("trap '' TERM; setsid sleep {SECONDS} & exec sleep 777777");
        let spec = Sandbox::spec(live).command(["sh", "-c", &script]).extra_args(["--pid=host"]);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        let begun = std::time::Instant::now();
        while others()?.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing runs beside its main process");
            std::thread::sleep(Duration::from_millis(10));
        }
        let until = Until::after(Duration::from_secs(60));
        std::thread::scope(|scope| -> Outcome {
            let container = &sandbox.container;
            let stopping =
                is_stopping.then(|| scope.spawn(|| container.stop(Duration::from_secs(60), &until)));
            while is_stopping && container.state(Until::forever())? != Some(ContainerState::Stopping) {
                assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", container.state(Until::forever()));
            }
            let names = std::slice::from_ref(&sandbox.name);
            let result = live.runtime.force_remove(names, &until).remove(0);
            let left = others()?;
            assert!(result.removed && left.is_empty(), "stopping: {is_stopping}: {result:?}, {left:?}");
            // Whatever it says of a container that was taken from under it.
            let _ = stopping.map(|stopping| stopping.join().expect("no panic"));
            Ok(())
        })?;
    }
    Ok(())
}
