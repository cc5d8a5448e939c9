//! A sandbox program on tokio, by `rt-tokio` and by bollard, phase by phase: ten sandboxes, forty
//! commands at once in them, and their removal.

mod bollard;
mod ours;

use std::sync::Arc;
use std::time::Duration;

use rt_podman::ExecPath;
use rt_process::procfs;
use rt_protocol::Signal;
use rt_tokio::AsyncRuntime;

use super::bollard_session::BollardSession;
use super::rounds::in_turns;
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::live::Live;
use crate::sandbox::Sandbox;

const SANDBOXES: usize = 10;
/// In each sandbox.
const COMMANDS: usize = 4;
/// How long the engine may take to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Both programs, with one executor.
struct Programs<'a> {
    live: &'a Live,
    session: BollardSession,
    runtime: AsyncRuntime,
}

impl<'a> Programs<'a> {
    fn new(live: &'a Live) -> Outcome<Self> {
        let podman = live.builder().exec_path(ExecPath::Auto).build()?;
        let runtime = AsyncRuntime::new(Arc::new(podman));
        Ok(Self { live, session: BollardSession::open(live)?, runtime })
    }

    fn launch_ours(&self, family: &str) -> Outcome<Vec<rt_tokio::AsyncContainer>> {
        let image = self.live.image.as_str();
        self.session.block_on(ours::launch(&self.runtime, family, SANDBOXES, image))
    }

    fn launch_theirs(&self, family: &str) -> Outcome<Vec<String>> {
        let image = self.live.image.as_str();
        self.session.block_on(bollard::launch(self.session.docker(), family, SANDBOXES, image))
    }

    fn remove_ours(&self, family: &str) -> Outcome {
        self.session.block_on(ours::remove(&self.runtime, family))
    }

    fn remove_theirs(&self, family: &str) -> Outcome {
        self.session.block_on(bollard::remove(self.session.docker(), family))
    }
}

pub(super) fn measure_launch(live: &Live) -> Outcome<Row> {
    let programs = Programs::new(live)?;
    let mut earlier: Option<String> = None;
    // What the turn before has launched is removed before the clock runs.
    let mut prepare = || {
        earlier.take().map_or(Ok(()), |family| programs.remove_ours(&family))?;
        let family = Sandbox::fresh_name();
        earlier = Some(family.clone());
        Ok(family)
    };
    let ours = |family: String| programs.launch_ours(&family).map(drop);
    let theirs = |family: String| programs.launch_theirs(&family).map(drop);
    let rounds = in_turns(3, &mut prepare, ours, theirs)?;
    prepare()?;
    let what = "ten sandboxes launched at once, and by bollard over podman's socket";
    Ok(Row::of("async-sandboxes-launch", what, Unit::Seconds, Target::Shown, &rounds))
}

pub(super) fn measure_commands(live: &Live) -> Outcome<Row> {
    let programs = Programs::new(live)?;
    let family = Sandbox::fresh_name();
    let sandboxes = programs.launch_ours(&family)?;
    let names: Vec<_> = sandboxes.iter().map(|sandbox| sandbox.name().to_string()).collect();
    let mut ids = Vec::new();
    for sandbox in &sandboxes {
        let id = programs.session.block_on(sandbox.id(LIMIT))?.ok_or("a sandbox is gone")?;
        ids.push(id.to_string());
    }
    let expected: Vec<_> =
        (0..SANDBOXES).flat_map(|_| (0..COMMANDS).map(|number| format!("{number}\n"))).collect();
    let same = |answers: Vec<String>| if answers == expected { Ok(()) } else { Err("other answers".into()) };
    let ours = |()| same(programs.session.block_on(ours::run(&sandboxes, COMMANDS))?);
    let theirs =
        |()| same(programs.session.block_on(bollard::run(programs.session.docker(), &names, COMMANDS))?);
    let prepare = || {
        end_sleeping_conmons(&ids);
        Ok(())
    };
    let rounds = in_turns(5, prepare, ours, theirs)?;
    programs.remove_ours(&family)?;
    end_sleeping_conmons(&ids);
    let what = "forty commands at once in ten sandboxes, and by bollard over podman's socket";
    Ok(Row::of("async-sandboxes-commands", what, Unit::Seconds, Target::Ratio(10.0), &rounds))
}

pub(super) fn measure_removal(live: &Live) -> Outcome<Row> {
    let programs = Programs::new(live)?;
    let running = || {
        let family = Sandbox::fresh_name();
        programs.launch_ours(&family)?;
        Ok(family)
    };
    let ours = |family: String| programs.remove_ours(&family);
    let theirs = |family: String| programs.remove_theirs(&family);
    let rounds = in_turns(3, running, ours, theirs)?;
    let what = "ten sandboxes removed by prefix, and by bollard over podman's socket";
    Ok(Row::of("async-sandboxes-removal", what, Unit::Seconds, Target::Shown, &rounds))
}

/// Ends the conmons that podman's service leaves for five minutes after each exec in one of these
/// containers.
fn end_sleeping_conmons(ids: &[String]) {
    let entries = procfs::snapshot().unwrap_or_default();
    for entry in entries.iter().filter(|entry| entry.name == "conmon") {
        let words = procfs::command_line(entry.pid).ok().flatten().unwrap_or_default();
        let has = |word: &str| words.iter().any(|other| other == word);
        let has_child = entries.iter().any(|other| other.parent == entry.pid && !other.is_zombie);
        if has("--exec-attach") && ids.iter().any(|id| has(id)) && !has_child {
            // One that has ended in the meantime needs no signal.
            let _ = procfs::signal(entry, Signal::KILL);
        }
    }
}
