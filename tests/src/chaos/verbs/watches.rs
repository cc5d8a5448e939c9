//! Verbs that watch: events of containers, and a log for its ready line.

use std::io;
use std::time::{Duration, Instant};

use rt_protocol::{ContainerRuntime as _, EventAction, EventOptions, NamePrefix, Pull, Readiness, Until};

use crate::chaos::store_processes::Role;
use crate::chaos::turn::{SLACK, TIMEOUT, Turn};
use crate::chaos::verdict::{Verdict, right_error};
use crate::sandbox::Sandbox;
use crate::ssh_lab::Result;

/// How long an event may be on its way, with a client that is held for a while.
const LATE: Duration = Duration::from_secs(20);

/// A container dies while its events are read.
pub(super) fn events(turn: &mut Turn<'_>) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let options = EventOptions::new().prefix(NamePrefix::new(Sandbox::family())?);
    let live = turn.live;
    let (seen, end) = turn.with_faults("events", LATE + SLACK, || {
        let mut seen = Vec::new();
        let read = |seen: &mut Vec<EventAction>| -> rt_protocol::Result<bool> {
            let mut stream = live.runtime.events(&options, &Until::forever())?;
            // Its client may be harmed too; whether it was done is looked at below.
            let _ = live.plain(&["stop", "--time=0", sandbox.name.as_str()]);
            let begun = Instant::now();
            while begun.elapsed() < LATE && !seen.contains(&EventAction::Died) {
                match stream.pull(&Until::after(Duration::from_millis(500)))? {
                    Pull::Item(event) if event.name == sandbox.name => seen.push(event.action),
                    Pull::Pending if main.is_alive() => return Ok(true),
                    Pull::Item(_) | Pull::Pending => {}
                    Pull::End => return Ok(false),
                }
            }
            Ok(true)
        };
        let end = read(&mut seen);
        (seen, end)
    });
    let verdict = match end {
        Ok(false) => Err(format!("the events end in silence, after {seen:?}")),
        Ok(true) if seen.contains(&EventAction::Died) => Ok("seen".into()),
        Ok(true) if main.is_alive() => Ok("it lives".into()),
        // Whoever writes the event was harmed.
        Ok(true) if turn.has_harmed(&[Role::Conmon, Role::Cleanup, Role::Client]) => {
            Ok("never written".into())
        }
        Ok(true) => Err(format!("it has died, and the events are {seen:?}")),
        Err(error) => right_error(&error, false),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

/// A container says that it is ready, and goes on or ends.
pub(super) fn ready(turn: &mut Turn<'_>) -> Result<Verdict> {
    let tail = if turn.rng.bool() { "exit 0" } else { "exec sleep 777777" };
    let pause = turn.rng.u8(1..9);
    let script = format!("seq 1 2000; sleep 0.{pause}; echo ready; {tail}");
    let sandbox = Sandbox::launch(&turn.live.runtime, turn.spec()?.command(["sh", "-c", &script]))?;
    let answer = turn.with_faults("stream_initial_logs", TIMEOUT + SLACK, || {
        let until = Until::after(TIMEOUT);
        sandbox.container.stream_initial_logs(&mut |line| line == "ready", &mut io::sink(), &until)
    });
    let harmed = turn.has_harmed(&[Role::Main, Role::Conmon]);
    let verdict = match answer {
        Ok(Readiness::Ready(_)) => Ok("ready".into()),
        Ok(other) if harmed => Ok(format!("{other:?}, and was harmed")),
        Ok(other) => Err(format!("it is ready, and the answer is {other:?}")),
        Err(error) => right_error(&error, harmed),
    };
    Ok(turn.clear(&sandbox, None).and(verdict))
}
