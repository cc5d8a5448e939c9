//! Verbs that change nothing: what they answer is the case.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rt_protocol::{
    ContainerExt, ContainerFilter, ContainerRuntime as _, ContainerRuntimeExt, ContainerState, ImageFilter,
    LogOptions, NamePrefix, Pull, Until,
};

use crate::chaos::command::Command;
use crate::chaos::store_processes::Role;
use crate::chaos::turn::{SLACK, TIMEOUT, Turn};
use crate::chaos::verdict::{Verdict, right_error};
use crate::sandbox::Sandbox;
use crate::ssh_lab::Result;

/// The longest of podman's own limits for a read.
const READ: Duration = Duration::from_secs(60);

pub(super) fn state(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let answer = turn.with_faults("state", READ + SLACK, || sandbox.container.state(Until::forever()));
    let harmed = turn.has_harmed(&[Role::Main, Role::Conmon]);
    let verdict = match answer {
        Ok(Some(ContainerState::Running)) => Ok("running".into()),
        Ok(Some(state)) if harmed => Ok(format!("{state}")),
        Ok(state) => Err(format!("a running container is {state:?}")),
        Err(error) => right_error(&error, harmed),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn list(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let runtime = &turn.live.runtime;
    let answer =
        turn.with_faults("list", READ + SLACK, || runtime.list(&ContainerFilter::all(), &Until::forever()));
    let verdict = match answer {
        Ok(list) if list.iter().any(|info| info.name == sandbox.name) => Ok("listed".into()),
        Ok(list) => Err(format!("a container is not among the {} of the list", list.len())),
        Err(error) => right_error(&error, false),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn inspect(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let id = turn.live.plain(&["inspect", "--format={{.Id}}", sandbox.name.as_str()])?;
    let answer = turn.with_faults("inspect", READ + SLACK, || sandbox.container.inspect(&Until::forever()));
    let verdict = match answer {
        Ok(Some(info)) if info.id.as_str() == id.trim() => Ok("found".into()),
        Ok(info) => Err(format!("the container {id} is {info:?}")),
        Err(error) => right_error(&error, false),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn rw_size(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let answer = turn.with_faults("rw_size", READ + SLACK, || sandbox.container.rw_size(&Until::forever()));
    let verdict = match answer {
        Ok(Some(_)) => Ok("told".into()),
        Ok(None) => Err("a container has no size".into()),
        Err(error) => right_error(&error, false),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn images(turn: &mut Turn<'_>) -> Result<Verdict> {
    let live = turn.live;
    let ids = live.plain(&["images", "--no-trunc", "--quiet"])?;
    let all: BTreeSet<_> = ids.lines().collect();
    let answer = turn
        .with_faults("images", READ + SLACK, || live.runtime.images(&ImageFilter::all(), &Until::forever()));
    Ok(match answer {
        Ok(list) if list.len() >= all.len() => Ok("listed".into()),
        Ok(list) => Err(format!("{} of {} images are listed", list.len(), all.len())),
        Err(error) => right_error(&error, false),
    })
}

pub(super) fn states(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let prefix = NamePrefix::new(Sandbox::family())?;
    let runtime = &turn.live.runtime;
    let answer = turn.with_faults("states", READ + SLACK, || runtime.states(&prefix, Until::forever()));
    let verdict = match answer {
        Ok(states) if states.contains_key(&sandbox.name) => Ok("listed".into()),
        Ok(states) => Err(format!("a container is not among {states:?}")),
        Err(error) => right_error(&error, false),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn image(turn: &mut Turn<'_>) -> Result<Verdict> {
    turn.live.plain(&["image", "exists", turn.live.image.as_str()])?;
    let image = turn.live.image_handle(&turn.live.image);
    let answer = turn.with_faults("image inspect", READ + SLACK, || image.inspect(&Until::forever()));
    Ok(match answer {
        Ok(Some(_)) => Ok("found".into()),
        Ok(None) => Err("an image that is there is none".into()),
        Err(error) => right_error(&error, false),
    })
}

/// The log of a container that has ended, followed or not.
pub(super) fn logs(turn: &mut Turn<'_>) -> Result<Verdict> {
    let id = turn.id.clone();
    let command = Command::random(&mut turn.rng, id, 12);
    let expected = String::from_utf8(command.stdout())?;
    let script = format!("{}; exit 0", command.counting());
    let sandbox = Sandbox::launch(&turn.live.runtime, turn.spec()?.command(["sh", "-c", &script]))?;
    let _ = sandbox.container.wait(&Until::after(TIMEOUT))?;
    let mut options = LogOptions::new();
    if turn.rng.bool() {
        options = options.follow();
    }
    let (lines, end) = turn.with_faults("logs", TIMEOUT + SLACK, || {
        let (mut lines, begun) = (String::new(), Instant::now());
        let read = |lines: &mut String| -> rt_protocol::Result<bool> {
            let mut log = sandbox.container.logs(&options, &Until::forever())?;
            while begun.elapsed() < TIMEOUT {
                match log.pull(&Until::after(Duration::from_secs(1)))? {
                    Pull::Item(line) => *lines = format!("{lines}{}\n", line.text()),
                    Pull::Pending => {}
                    Pull::End => return Ok(true),
                }
            }
            Ok(false)
        };
        let end = read(&mut lines);
        (lines, end)
    });
    let verdict = match end {
        _ if !expected.starts_with(&lines) => {
            Err(format!("lines are missing or doubled: {} of {} bytes", lines.len(), expected.len()))
        }
        Ok(true) if lines == expected => Ok("whole".into()),
        Ok(true) => Err(format!("it ends after {} of {} bytes", lines.len(), expected.len())),
        Ok(false) => Err("it does not end".into()),
        Err(error) => right_error(&error, false),
    };
    Ok(turn.clear(&sandbox, None).and(verdict))
}
