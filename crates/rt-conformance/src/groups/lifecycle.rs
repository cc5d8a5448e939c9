//! Lifecycle: start, stop and wait, and what `inspect` returns afterwards. [`super::launch`] has
//! the settings of a launch.

use std::time::{Duration, Instant};

use rt_protocol::{
    Capability, Container, ContainerExt, ContainerState, ErrorKind, ExitOutcome, LogOptions, Pull, Until,
};

use crate::ensure::ensure_refused;
use crate::required::{MAKE, RUN, STOP};
use crate::threads::{cancelled, joined};
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Lifecycle, run)
}

const WAIT: &[Capability] =
    &[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::Wait];
const ALL: &[Capability] =
    &[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::Stop, Capability::Wait];

pub(super) const CASES: &[Case] = &[
    fact("lifecycle: an absent container answers none to every question", absent).core(),
    fact("lifecycle: create makes and does not start", create_does_not_start).can(MAKE),
    fact("lifecycle: a handle from before sees a container that was made since", earlier_handle).can(MAKE),
    fact("lifecycle: nothing has started before the first start", not_started_yet).can(MAKE),
    fact("lifecycle: start runs it, and says since when", start_runs).can(RUN),
    fact("lifecycle: starting what runs is no error", start_twice).can(RUN),
    fact("lifecycle: starting the absent is an error", start_absent).can(&[Capability::Start]),
    fact("lifecycle: stop ends it", stop_ends).can(STOP),
    fact("lifecycle: stopping what does not run is no error", stop_stopped).can(STOP),
    fact("lifecycle: stopping the absent is an error", stop_absent).can(&[Capability::Stop]),
    fact("lifecycle: what was stopped can be started again", restart).can(STOP),
    fact("lifecycle: no grace means at once, also for a main process that ignores TERM", stop_without_grace)
        .can(STOP)
        .needs(&[Need::MainProcess]),
    fact("lifecycle: within the grace a main process ends in its own way", stop_with_grace)
        .can(ALL)
        .needs(&[Need::MainProcess]),
    fact("lifecycle: wait says the code of the main process", wait_code)
        .can(WAIT)
        .needs(&[Need::MainProcess]),
    fact("lifecycle: wait on what has ended answers at once", wait_again)
        .can(WAIT)
        .needs(&[Need::MainProcess]),
    fact("lifecycle: wait ends at its deadline and leaves the container running", wait_deadline).can(WAIT),
    fact("lifecycle: wait ends when it is cancelled", wait_cancelled).can(WAIT),
    fact("lifecycle: waiting for what was never started is an error", wait_created)
        .can(MAKE)
        .can(&[Capability::Wait]),
    fact("lifecycle: waiting for the absent is an error", wait_absent).can(&[Capability::Wait]),
    fact("lifecycle: wait sees a stop from another thread", wait_sees_stop).can(ALL),
    fact("lifecycle: what has ended says when and with which code", ended_facts)
        .can(RUN)
        .needs(&[Need::MainProcess]),
    fact("lifecycle: the handle's answers agree with inspect", answers_agree).can(RUN),
];

fn absent(context: &TestContext<'_>) -> Verdict {
    let nobody = context.missing_container()?;
    ensure_eq!(nobody.inspect(&timeout())?, None, "inspect")?;
    ensure_eq!(nobody.id(timeout())?, None, "the id")?;
    ensure_eq!(nobody.state(timeout())?, None, "the state")?;
    ensure!(!nobody.running(timeout())?, "an absent container runs")?;
    ensure_eq!(nobody.started_at(timeout())?, None, "the start")?;
    ensure_eq!(nobody.mounts(timeout())?, None, "the mounts")?;
    ensure_eq!(nobody.ports(timeout())?, None, "the ports")?;
    ensure_eq!(nobody.health(timeout())?, None, "the health")
}

fn create_does_not_start(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    ensure_eq!(made.state(timeout())?, Some(ContainerState::Created), "the state after create")?;
    ensure!(!made.running(timeout())?, "it runs after create")
}

fn earlier_handle(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let earlier = context.runtime().container(&name);
    ensure_eq!(earlier.state(timeout())?, None, "the state before create")?;
    let made = context.created_as(&name, &Script::Stand)?;
    ensure!(*earlier == *made, "the earlier handle differs from that of create")?;
    ensure_eq!(
        earlier.state(timeout())?,
        Some(ContainerState::Created),
        "the state seen by the earlier handle"
    )
}

fn not_started_yet(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    ensure_eq!(made.started_at(timeout())?, None, "the start before the first one")?;
    let info = made.inspect(&timeout())?;
    ensure_eq!(info.and_then(|info| info.finished_at), None, "the end before the first start")
}

fn start_runs(context: &TestContext<'_>) -> Verdict {
    // Engines have their own clock and resolution. A minute of tolerance is enough to find
    // nonsense.
    let slack = Duration::from_secs(60);
    let before = context.fixture().now();
    let container = context.started(&Script::Stand)?;
    ensure_eq!(container.state(timeout())?, Some(ContainerState::Running), "the state after start")?;
    ensure!(container.running(timeout())?, "it does not run after start")?;
    let started = container.started_at(timeout())?;
    let plausible = started.is_some_and(|at| at > before - slack && at < context.fixture().now() + slack);
    ensure!(plausible, "it says it was started at {started:?}, and that was {before:?}")
}

fn start_twice(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let started = container.started_at(timeout())?;
    container.start(&timeout())?;
    ensure!(container.running(timeout())?, "it does not run after the second start")?;
    ensure_eq!(container.started_at(timeout())?, started, "the time of the start after the second one")
}

fn start_absent(context: &TestContext<'_>) -> Verdict {
    let nobody = context.missing_container()?;
    ensure_refused(nobody.start(&timeout()), ErrorKind::NoSuchContainer)?;
    ensure_eq!(nobody.state(timeout())?, None, "the state afterwards")
}

fn stop_ends(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    container.stop(Duration::from_secs(10), &timeout())?;
    let state = container.state(timeout())?;
    ensure!(state.as_ref().is_some_and(ContainerState::has_exited), "the state after stop is {state:?}")
}

fn stop_stopped(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    for _ in 0..2 {
        container.stop(Duration::ZERO, &timeout())?;
    }
    ensure!(!container.running(timeout())?, "it runs after two stops")
}

fn stop_absent(context: &TestContext<'_>) -> Verdict {
    ensure_refused(context.missing_container()?.stop(Duration::ZERO, &timeout()), ErrorKind::NoSuchContainer)
}

fn restart(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let id = container.id(timeout())?;
    container.stop(Duration::ZERO, &timeout())?;
    context.start(container.as_ref())?;
    ensure!(container.running(timeout())?, "it does not run after stop and start")?;
    ensure_eq!(container.id(timeout())?, id, "the id after stop and start")
}

fn stop_without_grace(context: &TestContext<'_>) -> Verdict {
    let begin = Instant::now();
    let container = context.started(&Script::Stubborn)?;
    let start = begin.elapsed();
    container.stop(Duration::ZERO, &timeout())?;
    let took = begin.elapsed().saturating_sub(start);
    // The usual grace period is ten seconds. On a busy machine a start takes long too.
    ensure!(
        took < Duration::from_secs(8) + start,
        "a stop without grace took {took:?}, its start {start:?}"
    )?;
    ensure!(!container.running(timeout())?, "it runs after the stop")
}

fn stop_with_grace(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::EndOnTerm(7))?;
    wait_for_handler(context, container.as_ref())?;
    container.stop(Duration::from_secs(10), &timeout())?;
    ensure_eq!(container.wait(&timeout())?, ExitOutcome::Code(7), "the code of its TERM handler")
}

fn wait_code(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Exit(7))?;
    ensure_eq!(container.wait(&timeout())?, ExitOutcome::Code(7), "the code of the main process")
}

fn wait_again(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Exit(3))?;
    context.wait_for_exit(container.as_ref())?;
    for _ in 0..2 {
        ensure_eq!(container.wait(&timeout())?, ExitOutcome::Code(3), "the code, asked after the end")?;
    }
    Ok(())
}

fn wait_deadline(context: &TestContext<'_>) -> Verdict {
    let begin = Instant::now();
    let container = context.started(&Script::Stand)?;
    let start = begin.elapsed();
    ensure_refused(container.wait(&Until::after(Duration::from_millis(300))), ErrorKind::TimedOut)?;
    let took = begin.elapsed().saturating_sub(start);
    ensure!(took < Duration::from_secs(5) + start, "a wait of 300 ms took {took:?}, its start {start:?}")?;
    ensure!(container.running(timeout())?, "it does not run after the wait")
}

fn wait_cancelled(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    ensure_refused(cancelled(|until| container.wait(until)), ErrorKind::Cancelled)
}

fn wait_absent(context: &TestContext<'_>) -> Verdict {
    ensure_refused(context.missing_container()?.wait(&timeout()), ErrorKind::NoSuchContainer)
}

fn wait_created(context: &TestContext<'_>) -> Verdict {
    ensure_refused(context.created(&Script::Stand)?.wait(&timeout()), ErrorKind::NotRunning)
}

fn wait_sees_stop(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let answer = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| container.wait(&timeout()));
        let stopped = container.stop(Duration::from_secs(10), &timeout());
        stopped.and(joined(waiter))
    });
    let outcome = answer?;
    ensure!(outcome != ExitOutcome::Lost, "the outcome of a container that is still there is lost")
}

fn ended_facts(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Exit(5))?;
    context.wait_for_exit(container.as_ref())?;
    let Some(info) = container.inspect(&timeout())? else { return Err(Failure::new("it is gone")) };
    ensure_eq!(info.exit_code, Some(5), "the exit code by inspect")?;
    let (Some(started), Some(finished)) = (info.started_at, info.finished_at) else {
        return Err(Failure::new(format!("it ended {:?}, started {:?}", info.finished_at, info.started_at)));
    };
    // podman takes the end from the time of a file, and the start from a later look at the clock
    // (measured: an end 2 ms before its start).
    ensure!(finished + Duration::from_secs(1) > started, "it ended {finished:?}, started {started:?}")
}

fn answers_agree(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let Some(info) = container.inspect(&timeout())? else { return Err(Failure::new("it is gone")) };
    ensure_eq!(container.key().name, info.name, "the name")?;
    ensure_eq!(container.id(timeout())?, Some(info.id), "the id")?;
    ensure_eq!(container.state(timeout())?, Some(info.state), "the state")?;
    ensure_eq!(container.started_at(timeout())?, info.started_at, "the start")?;
    ensure_eq!(container.mounts(timeout())?, Some(info.mounts), "the mounts")?;
    ensure_eq!(container.ports(timeout())?, Some(info.ports), "the ports")?;
    ensure_eq!(container.health(timeout())?, info.health, "the health")
}

/// Waits until a main process has set its handler: before that, it does not receive TERM at all.
pub(super) fn wait_for_handler(context: &TestContext<'_>, container: &dyn Container) -> Verdict {
    if !context.can(Capability::Logs) {
        return Ok(());
    }
    TestContext::eventually("the main process has set its handler", || {
        let line = container.logs(&LogOptions::new(), &timeout())?.pull(&timeout())?;
        Ok(matches!(line, Pull::Item(_)).then_some(()))
    })
}
