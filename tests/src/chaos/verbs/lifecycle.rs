//! Verbs that make, start, stop, await and remove containers.

use std::thread;
use std::time::{Duration, Instant};

use rt_protocol::{ContainerRuntime as _, ContainerRuntimeExt as _, Until};

use crate::chaos::main_process::MainProcess;
use crate::chaos::store_processes::Role;
use crate::chaos::turn::{NOTES, SLACK, TIMEOUT, Turn};
use crate::chaos::verdict::{Verdict, right_error};
use crate::sandbox::Sandbox;
use crate::ssh_lab::Result;

/// Whoever is hit may be the container itself, or what tells podman of it.
const CONTAINER: [Role; 2] = [Role::Main, Role::Conmon];

pub(super) fn create(turn: &mut Turn<'_>) -> Result<Verdict> {
    let spec = turn.spec()?.command(["sleep", "777777"]).build()?;
    let runtime = &turn.live.runtime;
    let answer =
        turn.with_faults("create", TIMEOUT + SLACK, || runtime.create(&spec, &Until::after(TIMEOUT)));
    let state = turn.true_state(spec.name().as_str())?;
    let verdict = match answer {
        Ok(_) if state.is_some() => Ok("created".into()),
        Ok(_) => Err("it is said to be created and is not there".into()),
        Err(error) => right_error(&error, false),
    };
    let sandbox = Sandbox::known(&turn.live.runtime, spec.name());
    Ok(turn.clear(&sandbox, None).and(verdict))
}

pub(super) fn launch(turn: &mut Turn<'_>) -> Result<Verdict> {
    let script = format!("echo {} >>{NOTES}/mains; exec sleep 777777", turn.id);
    let spec = turn.spec()?.command(["sh", "-c", &script]).build()?;
    let runtime = &turn.live.runtime;
    let answer = turn.with_faults("launch", TIMEOUT + SLACK, || runtime.launch(&spec, Until::after(TIMEOUT)));
    let sandbox = Sandbox::known(&turn.live.runtime, spec.name());
    let verdict = match answer {
        Ok(_) => running(turn, &sandbox)?,
        Err(error) => right_error(&error, turn.has_harmed(&CONTAINER)),
    };
    Ok(turn.clear(&sandbox, None).and(verdict))
}

pub(super) fn start(turn: &mut Turn<'_>) -> Result<Verdict> {
    let script = format!("echo {} >>{NOTES}/mains; exec sleep 777777", turn.id);
    let sandbox = Sandbox::create(&turn.live.runtime, turn.spec()?.command(["sh", "-c", &script]))?;
    let answer =
        turn.with_faults("start", TIMEOUT + SLACK, || sandbox.container.start(&Until::after(TIMEOUT)));
    let verdict = match answer {
        Ok(()) => running(turn, &sandbox)?,
        Err(error) => right_error(&error, turn.has_harmed(&CONTAINER)),
    };
    Ok(turn.clear(&sandbox, None).and(verdict))
}

/// Checks a container whose start succeeded: its main process has written its note, and it runs
/// unless it was harmed.
fn running(turn: &Turn<'_>, sandbox: &Sandbox<'_>) -> Result<Verdict> {
    let begun = Instant::now();
    let has_written = || {
        let notes = std::fs::read_to_string(turn.notes.join("mains")).unwrap_or_default();
        notes.lines().filter(|line| *line == turn.id).count()
    };
    let harmed = turn.has_harmed(&CONTAINER);
    while has_written() == 0 && !harmed && begun.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(20));
    }
    let (count, state) = (has_written(), turn.true_state(sandbox.name.as_str())?);
    Ok(match state.as_deref() {
        _ if count > 1 => Err(format!("its process has begun {count} times")),
        Some("running") if count == 1 => Ok("runs".into()),
        Some(state) if harmed => Ok(format!("{state}, and was harmed")),
        _ => {
            let said = turn.live.plain(&["inspect", "--format={{json .State}}", sandbox.name.as_str()]);
            Err(format!("it is said to run and is {state:?}, with {count} notes: {said:?}"))
        }
    })
}

pub(super) fn stop(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let grace = Duration::from_secs(turn.rng.u64(0..2));
    let answer =
        turn.with_faults("stop", TIMEOUT + SLACK, || sandbox.container.stop(grace, &Until::after(TIMEOUT)));
    let verdict = match answer {
        Ok(()) if main.is_alive() => Err("it is said to be stopped, and its process runs".into()),
        Ok(()) => Ok("stopped".into()),
        Err(error) => right_error(&error, turn.has_harmed(&CONTAINER)),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

pub(super) fn wait(turn: &mut Turn<'_>) -> Result<Verdict> {
    let code = turn.rng.i32(0..256);
    let script = format!("sleep 0.{}; exit {code}", turn.rng.u8(1..9));
    let sandbox = Sandbox::launch(&turn.live.runtime, turn.spec()?.command(["sh", "-c", &script]))?;
    let answer = turn.with_faults("wait", TIMEOUT + SLACK, || sandbox.container.wait(&Until::after(TIMEOUT)));
    let codes = turn.codes(&[Role::Main]);
    let verdict = match answer {
        Ok(outcome) => match outcome.shell_code() {
            None => Ok("lost".into()),
            Some(told) if told == code => Ok("its code".into()),
            Some(told) if codes.contains(&told) => Ok("ended from outside".into()),
            Some(told) => Err(format!("code {told} of a container that ends with {code}")),
        },
        Err(error) => right_error(&error, turn.has_harmed(&CONTAINER)),
    };
    Ok(turn.clear(&sandbox, None).and(verdict))
}

pub(super) fn force_remove(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let runtime = &turn.live.runtime;
    let names = std::slice::from_ref(&sandbox.name);
    let results = turn
        .with_faults("force_remove", TIMEOUT + SLACK, || runtime.force_remove(names, &Until::after(TIMEOUT)));
    let state = turn.true_state(sandbox.name.as_str())?;
    let verdict = match results.first() {
        Some(result) if result.removed && (state.is_some() || main.is_alive()) => {
            Err(format!("it is said to be removed, and is {state:?}, alive: {}", main.is_alive()))
        }
        Some(result) if result.removed => Ok("removed".into()),
        Some(result) => result.error.as_ref().map_or_else(
            || Err("it is not removed, for no reason".into()),
            |error| right_error(error, turn.has_harmed(&CONTAINER)),
        ),
        None => Err("no result".into()),
    };
    let main: Option<&MainProcess> = Some(&main);
    Ok(turn.clear(&sandbox, main).and(verdict))
}
