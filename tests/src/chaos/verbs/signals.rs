//! Verbs that pause, signal, restart and remove one container.

use std::time::{Duration, Instant};

use rt_protocol::{Container as _, ContainerExt as _, Signal, Until};

use crate::chaos::store_processes::Role;
use crate::chaos::turn::{SLACK, TIMEOUT, Turn};
use crate::chaos::verdict::{Verdict, right_error};
use crate::ssh_lab::Result;

/// Whoever is hit may be the container itself, or what tells podman of it.
const CONTAINER: [Role; 2] = [Role::Main, Role::Conmon];

pub(super) fn pause(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    if let Err(reason) = turn.live.cgroups() {
        return Ok(turn.clear(&sandbox, Some(&main)).map(|()| reason.into()));
    }
    let container = &sandbox.container;
    let freezes = turn.rng.bool();
    if !freezes {
        container.pause(&Until::after(TIMEOUT))?;
    }
    let answer = turn.with_faults("pause", TIMEOUT + SLACK, || {
        let until = Until::after(TIMEOUT);
        if freezes { container.pause(&until) } else { container.unpause(&until) }
    });
    let harmed = turn.has_harmed(&CONTAINER);
    let state = turn.true_state(sandbox.name.as_str())?;
    let verdict = match (answer, state.as_deref(), freezes) {
        (Ok(()), Some("paused"), true) | (Ok(()), Some("running"), false) => Ok("done".into()),
        (Ok(()), state, _) if harmed => Ok(format!("{state:?}, and was harmed")),
        (Ok(()), state, _) => Err(format!("freezes: {freezes}, and is {state:?}")),
        (Err(error), ..) => right_error(&error, harmed),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn kill(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let container = &sandbox.container;
    let answer =
        turn.with_faults("kill", TIMEOUT + SLACK, || container.kill(Signal::KILL, &Until::after(TIMEOUT)));
    let verdict = match answer {
        Ok(()) => {
            let begun = Instant::now();
            while main.is_alive() && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if main.is_alive() {
                Err("KILL is said to be sent, and it runs".into())
            } else {
                Ok("killed".into())
            }
        }
        Err(error) => right_error(&error, turn.has_harmed(&CONTAINER)),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn restart(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let container = &sandbox.container;
    let answer = turn
        .with_faults("restart", TIMEOUT + SLACK, || container.restart(Duration::ZERO, Until::after(TIMEOUT)));
    let harmed = turn.has_harmed(&CONTAINER);
    let state = turn.true_state(sandbox.name.as_str())?;
    let verdict = match answer {
        Ok(()) if main.is_alive() => Err("it is said to be restarted, and its old process runs".into()),
        Ok(()) if state.as_deref() == Some("running") => Ok("restarted".into()),
        Ok(()) if harmed => Ok(format!("{state:?}, and was harmed")),
        Ok(()) => Err(format!("it is said to be restarted, and is {state:?}")),
        Err(error) => right_error(&error, harmed),
    };
    Ok(turn.clear(&sandbox, None).and(verdict))
}

pub(super) fn remove(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let container = &sandbox.container;
    let answer = turn.with_faults("remove", TIMEOUT + SLACK, || container.remove(&Until::after(TIMEOUT)));
    let state = turn.true_state(sandbox.name.as_str())?;
    let verdict = match answer {
        Ok(()) if state.is_some() || main.is_alive() => {
            Err(format!("it is said to be removed, and is {state:?}, alive: {}", main.is_alive()))
        }
        Ok(()) => Ok("removed".into()),
        Err(error) => right_error(&error, turn.has_harmed(&CONTAINER)),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}
