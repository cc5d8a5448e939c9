//! `podman stop`, `kill`, `pause`, `unpause` and `wait`.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::{Container, Status};
use crate::event;
use crate::fault::{self, Fault};

/// From look to look at a container that is ending.
const STEP: Duration = Duration::from_millis(10);

/// The ids of all containers that the call names. With one missing, nothing is done to any.
pub(crate) fn ids(call: &Call) -> Result<Vec<String>, Answer> {
    if call.words.operands.is_empty() {
        return Err(Answer::refused(125, "Error: you must provide at least one container name or id"));
    }
    let lock = call.store.lock()?;
    let find = |word: &String| match call.store.find(&lock, &call.profile, word)? {
        Some(container) => Ok(Some(container.id)),
        None if call.words.has("ignore") => Ok(None),
        None => Err(call.profile.refusal("no-container", &[("name", word)])),
    };
    Ok(call
        .words
        .operands
        .iter()
        .map(find)
        .collect::<Result<Vec<_>, Answer>>()?
        .into_iter()
        .flatten()
        .collect())
}

pub(crate) fn stop(call: &Call) -> Reply {
    let value = call.words.value("time").unwrap_or("10");
    let grace = match value.parse::<i64>() {
        Ok(seconds @ 0..) => Duration::from_secs(seconds.unsigned_abs()),
        // 5.x takes -1 for the default.
        Ok(_) if !call.profile.has("forced-rm-stops-at-the-missing") => Duration::from_secs(10),
        _ => return Err(call.profile.refusal("bad-time", &[("value", value), ("verb", "stop")])),
    };
    let mut answer = Answer::silent();
    for (id, word) in ids(call)?.into_iter().zip(&call.words.operands) {
        answer.stderr.push_str(&stop_one(call, &id, grace)?);
        answer.stdout.extend(format!("{word}\n").into_bytes());
    }
    Ok(answer)
}

/// Ends a container's main process; the warning, if KILL was needed.
pub(crate) fn stop_one(call: &Call, id: &str, grace: Duration) -> Result<String, Answer> {
    let mut warning = String::new();
    let Some(container) = change(call, id, |container| match container.state.status {
        Status::Paused => Err(call.profile.refusal("stop-paused", &[("id", &container.id)])),
        Status::Running | Status::Stopping => {
            container.state.status = Status::Stopping;
            Ok(())
        }
        Status::Created | Status::Exited => Ok(()),
    })?
    else {
        return Ok(warning);
    };
    if call.faults.has(&Fault::StopStuck) {
        fault::hang();
    }
    if !container.state.status.is_alive() {
        return Ok(warning);
    }
    if !grace.is_zero() {
        let own = container.stop_signal.and_then(Signal::from_named_raw);
        send(&container, own.unwrap_or(Signal::TERM));
        if !has_ended_within(call, id, grace)? {
            warning = format!(
                "time=\"2026-11-21T20:38:42Z\" level=warning msg=\"StopSignal SIGTERM failed to stop container {} in \
                 {} seconds, resorting to SIGKILL\"\n",
                container.name,
                grace.as_secs()
            );
        }
    }
    if grace.is_zero() || !warning.is_empty() {
        send(&container, Signal::KILL);
    }
    while !has_ended_within(call, id, Duration::from_secs(1))? {}
    let lock = call.store.lock()?;
    event::record(&call.store, &lock, &container, "stop", None)?;
    Ok(warning)
}

/// Changes a container's record; what it is afterwards, or `None` when it is gone.
fn change(
    call: &Call,
    id: &str,
    how: impl FnOnce(&mut Container) -> Result<(), Answer>,
) -> Result<Option<Container>, Answer> {
    let lock = call.store.lock()?;
    let Some(mut container) = call.store.container(&lock, id)? else { return Ok(None) };
    how(&mut container)?;
    call.store.save(&lock, &container)?;
    Ok(Some(container))
}

/// Sends a signal to the main process of a container whose record says that it runs. This program
/// has started that process.
fn send(container: &Container, signal: Signal) {
    if let Some(pid) = Pid::from_raw(container.state.pid) {
        // It may have ended in between; that shows in the next look.
        let _ = kill_process(pid, signal);
    }
}

/// Sends a signal to each process in the process namespace of a container, which it has for itself.
fn send_all(container: &Container, signal: Signal) {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(own) = namespace(container.state.pid) else { return };
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in pids.filter(|pid| namespace(*pid).as_ref() == Some(&own)).filter_map(Pid::from_raw) {
        // It may have ended in between.
        let _ = kill_process(pid, signal);
    }
}

fn has_ended_within(call: &Call, id: &str, limit: Duration) -> Result<bool, Answer> {
    let begun = Instant::now();
    loop {
        let container = call.store.container(&call.store.lock()?, id)?;
        if container.is_none_or(|container| !container.state.status.is_alive()) {
            return Ok(true);
        }
        if begun.elapsed() >= limit {
            return Ok(false);
        }
        std::thread::sleep(STEP);
    }
}

pub(crate) fn kill(call: &Call) -> Reply {
    let word = call.words.value("signal").unwrap_or("KILL");
    let signal =
        signal_of(word).ok_or_else(|| call.profile.refusal("kill-bad-signal", &[("signal", word)]))?;
    each_running(call, |container| {
        send(container, signal);
        Ok("kill")
    })
}

pub(crate) fn pause(call: &Call) -> Reply {
    each_running(call, |container| {
        send_all(container, Signal::STOP);
        container.state.status = Status::Paused;
        Ok("pause")
    })
}

pub(crate) fn unpause(call: &Call) -> Reply {
    each(call, |container| {
        if container.state.status != Status::Paused {
            return Err(call.profile.refusal("unpause-not-paused", &[("id", &container.id)]));
        }
        send_all(container, Signal::CONT);
        container.state.status = Status::Running;
        Ok("unpause")
    })
}

fn each_running(call: &Call, mut how: impl FnMut(&mut Container) -> Result<&'static str, Answer>) -> Reply {
    each(call, |container| {
        if container.state.status == Status::Running {
            return how(container);
        }
        let values = [("id", container.id.as_str()), ("state", container.state.status.word())];
        Err(call.profile.refusal("kill-not-running", &values))
    })
}

/// Does this to each container of the call; `how` names the event.
fn each(call: &Call, mut how: impl FnMut(&mut Container) -> Result<&'static str, Answer>) -> Reply {
    let mut answer = Answer::silent();
    for (id, word) in ids(call)?.into_iter().zip(&call.words.operands) {
        let mut event = "";
        let changed = change(call, &id, |container| {
            event = how(container)?;
            Ok(())
        })?;
        if let Some(container) = changed {
            event::record(&call.store, &call.store.lock()?, &container, event, None)?;
        }
        answer.stdout.extend(format!("{word}\n").into_bytes());
    }
    Ok(answer)
}

fn signal_of(word: &str) -> Option<Signal> {
    if let Ok(number) = word.parse() {
        // Real-time signals reach nothing here that would act on them.
        return Signal::from_named_raw(number).or((32..=64).contains(&number).then_some(Signal::CONT));
    }
    Some(match word.strip_prefix("SIG").unwrap_or(word) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "TERM" => Signal::TERM,
        _ => return None,
    })
}

pub(crate) fn wait(call: &Call) -> Reply {
    let mut answer = Answer::silent();
    if let Some(condition) =
        call.words.values("condition").find(|word| !matches!(*word, "stopped" | "exited"))
    {
        return Err(Answer::own(format!("it does not play --condition {condition} of wait")));
    }
    if call.words.has("ignore") && call.words.operands.iter().any(|word| !is_there(call, word)) {
        return Ok(Answer::out("-1\n"));
    }
    for id in ids(call)? {
        let code = if call.faults.has(&Fault::WaitSaysMinusOne) {
            // For a test that removes the container while this waits, and not before.
            call.store.record_call(&[String::from("@waits")])?;
            wait_for_exit(call, &id)?;
            -1
        } else {
            wait_for_exit(call, &id)?.ok_or_else(|| call.profile.refusal("wait-failed", &[("id", &id)]))?
        };
        answer.stdout.extend(format!("{code}\n").into_bytes());
    }
    Ok(answer)
}

fn is_there(call: &Call, word: &str) -> bool {
    call.store.lock().is_ok_and(|lock| matches!(call.store.find(&lock, &call.profile, word), Ok(Some(_))))
}

/// The exit code, which is kept past a removal; 0 for one that never ran, as recorded.
pub(crate) fn wait_for_exit(call: &Call, id: &str) -> Result<Option<i32>, Answer> {
    while !has_ended_within(call, id, Duration::from_secs(1))? {}
    let container = call.store.container(&call.store.lock()?, id)?;
    Ok(call.store.exit_code(id).or_else(|| container.map(|container| container.state.exit_code)))
}
