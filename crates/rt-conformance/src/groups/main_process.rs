//! Lifecycle: pauses, signals to the main process, restarts and removals. [`super::lifecycle`] has
//! the rest.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rt_protocol::{
    CancelToken, Capability, Container, ContainerExt, ContainerState, ErrorKind, ExecStdio, ExitOutcome,
    Signal, Sink, Source,
};

use super::lifecycle::wait_for_handler;
use crate::ensure::{ensure_refused, never_started, refused};
use crate::required::{RUN, STOP};
use crate::threads::joined;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Lifecycle, run)
}

const WAIT: &[Capability] =
    &[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::Wait];
const PAUSE: &[Capability] =
    &[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::Pause];
const STATS: &[Capability] =
    &[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::Stats];
const KILL: &[Capability] = &[Capability::Kill];
const CGROUPS: &[Need] = &[Need::Cgroups];

pub(super) const CASES: &[Case] = &[
    fact("lifecycle: what is paused says so, and runs on where it was", pause).can(PAUSE).needs(CGROUPS),
    fact("lifecycle: what is paused takes no command and no signal", pause_exec)
        .can(PAUSE)
        .can(KILL)
        .needs(CGROUPS),
    fact("lifecycle: a command stands still with its container", pause_command)
        .can(PAUSE)
        .can(&[Capability::ExecStdio])
        .needs(&[Need::Cgroups, Need::Streaming, Need::Shell]),
    fact("lifecycle: pausing the paused and unpausing the running changes nothing", pause_twice)
        .can(PAUSE)
        .needs(CGROUPS),
    fact("lifecycle: pausing what does not run is an error", pause_ended).can(PAUSE).can(STOP),
    fact("lifecycle: pausing the absent is an error", pause_absent).can(&[Capability::Pause]),
    fact("lifecycle: a running container tells what it uses", stats).can(STATS).needs(CGROUPS),
    fact("lifecycle: what does not run uses nothing", stats_ended).can(STATS).can(STOP).needs(CGROUPS),
    fact("lifecycle: the absent use nothing", stats_absent).can(&[Capability::Stats]).needs(CGROUPS),
    fact("lifecycle: a signal reaches the main process", kill)
        .can(WAIT)
        .can(KILL)
        .needs(&[Need::MainProcess]),
    fact("lifecycle: a signal that ends nothing leaves it running", kill_harmless).can(RUN).can(KILL),
    fact("lifecycle: KILL ends a main process that ignores TERM", kill_stubborn)
        .can(WAIT)
        .can(KILL)
        .needs(&[Need::MainProcess]),
    fact("lifecycle: a signal to what does not run is an error", kill_ended).can(STOP).can(KILL),
    fact("lifecycle: a signal to the absent is an error", kill_absent).can(KILL),
    fact("lifecycle: a restart ends it and starts it again", restart_running).can(STOP),
    fact("lifecycle: a restart starts what does not run", restart_created).can(STOP),
    fact("lifecycle: restarting the absent is an error", restart_absent).can(STOP),
    fact("lifecycle: remove takes the created, the running and the ended", remove).can(STOP),
    fact("lifecycle: remove takes the paused", remove_paused).can(PAUSE).needs(CGROUPS),
    fact("lifecycle: removing the absent changes nothing", remove_absent).can(&[Capability::ForceRemove]),
];

fn pause(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let before = container.inspect(&timeout())?;
    container.pause(&timeout())?;
    ensure_eq!(container.state(timeout())?, Some(ContainerState::Paused), "the state after pause")?;
    ensure!(!container.running(timeout())?, "it runs after pause")?;
    container.unpause(&timeout())?;
    let after = container.inspect(&timeout())?;
    ensure_eq!(
        after.as_ref().map(|info| (&info.id, &info.state, &info.started_at)),
        before.as_ref().map(|info| (&info.id, &info.state, &info.started_at)),
        "the id, the state and the start after unpause"
    )?;
    let result = TestContext::run_in(container.as_ref(), &Script::Exit(0))?;
    ensure!(result.success(), "a command after unpause: {result:?}")
}

fn pause_exec(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    container.pause(&timeout())?;
    let request = context.request(&Script::Exit(0))?;
    let error = refused(container.exec(&request, &timeout()), ErrorKind::Paused)?;
    never_started(&error)?;
    for signal in [Signal::TERM, Signal::KILL] {
        ensure_refused(container.kill(signal, &timeout()), ErrorKind::Paused)?;
    }
    container.unpause(&timeout())?;
    ensure!(container.exec(&request, &timeout())?.success(), "a command after unpause fails")
}

/// It writes all the time, so that its stillness shows.
fn pause_command(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let request = context.request(&Script::Endless)?;
    let written = AtomicU64::new(0);
    let count = || written.load(Ordering::SeqCst);
    let token = CancelToken::new();
    let until = timeout().or_cancelled(&token);
    std::thread::scope(|scope| {
        let command = scope.spawn(|| {
            let mut counter = Counter(&written);
            let stdio = ExecStdio::new(Source::empty(), Sink::borrowed(&mut counter));
            container.exec_stdio(&request, stdio, &until)
        });
        let seen = stands_still(container.as_ref(), &count);
        token.cancel();
        let answer = joined(command);
        seen?;
        ensure_refused(answer, ErrorKind::Cancelled)
    })
}

/// Pauses and unpauses a container in which a command writes.
fn stands_still(container: &dyn Container, count: &dyn Fn() -> u64) -> Verdict {
    const WHILE: Duration = Duration::from_millis(300);
    let goes_on =
        |from: u64| TestContext::eventually("the command writes", || Ok((count() > from).then_some(())));
    goes_on(0)?;
    container.pause(&timeout())?;
    // What was written before the pause may be on its way for a moment.
    let at = TestContext::eventually("the command stands still", || {
        let before = count();
        std::thread::sleep(WHILE);
        Ok((count() == before).then_some(before))
    });
    container.unpause(&timeout())?;
    goes_on(at?)
}

/// Counts what is written.
struct Counter<'a>(&'a AtomicU64);

impl Write for Counter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pause_twice(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    container.unpause(&timeout())?;
    ensure!(container.running(timeout())?, "it does not run after an unpause")?;
    container.pause(&timeout())?;
    container.pause(&timeout())?;
    ensure_eq!(container.state(timeout())?, Some(ContainerState::Paused), "the state after two pauses")?;
    container.unpause(&timeout())?;
    container.unpause(&timeout())?;
    ensure!(container.running(timeout())?, "it does not run after two unpauses")
}

fn pause_ended(context: &TestContext<'_>) -> Verdict {
    let container = context.created(&Script::Stand)?;
    for state in [ContainerState::Created, ContainerState::Exited] {
        ensure_refused(container.pause(&timeout()), ErrorKind::NotRunning)?;
        ensure_refused(container.unpause(&timeout()), ErrorKind::NotRunning)?;
        if state == ContainerState::Created {
            ensure_eq!(container.state(timeout())?, Some(state), "the state afterwards")?;
            context.start(container.as_ref())?;
            container.stop(Duration::ZERO, &timeout())?;
        }
    }
    ensure!(!container.running(timeout())?, "it runs afterwards")
}

fn pause_absent(context: &TestContext<'_>) -> Verdict {
    ensure_refused(context.missing_container()?.pause(&timeout()), ErrorKind::NoSuchContainer)?;
    ensure_refused(context.missing_container()?.unpause(&timeout()), ErrorKind::NoSuchContainer)
}

fn stats(context: &TestContext<'_>) -> Verdict {
    const LIMIT: u64 = 64 << 20;
    let spec = context.launch_spec(&context.name()?).command(Script::Stand.argv());
    let has_limits = context.can(Capability::LaunchLimits);
    let container = context.create_from(if has_limits { spec.memory(LIMIT) } else { spec })?;
    context.start(container.as_ref())?;
    let before = container.stats(&timeout())?;
    ensure!(before.processes >= 1, "a running container has {} processes", before.processes)?;
    ensure!(before.memory > 0, "a running container uses no memory")?;
    if has_limits {
        ensure_eq!(before.memory_limit, Some(LIMIT), "the limit of memory")?;
    }
    for _ in 0..3 {
        ensure!(TestContext::run_in(container.as_ref(), &Script::Exit(0))?.success(), "a command fails")?;
    }
    let after = container.stats(&timeout())?;
    ensure!(
        after.cpu_time >= before.cpu_time,
        "the CPU time sank from {:?} to {:?}",
        before.cpu_time,
        after.cpu_time
    )
}

fn stats_ended(context: &TestContext<'_>) -> Verdict {
    let container = context.created(&Script::Stand)?;
    ensure_refused(container.stats(&timeout()), ErrorKind::NotRunning)?;
    context.start(container.as_ref())?;
    container.stats(&timeout())?;
    container.stop(Duration::ZERO, &timeout())?;
    ensure_refused(container.stats(&timeout()), ErrorKind::NotRunning)
}

fn stats_absent(context: &TestContext<'_>) -> Verdict {
    ensure_refused(context.missing_container()?.stats(&timeout()), ErrorKind::NoSuchContainer)
}

fn kill(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::EndOnTerm(7))?;
    wait_for_handler(context, container.as_ref())?;
    container.kill(Signal::TERM, &timeout())?;
    ensure_eq!(container.wait(&timeout())?, ExitOutcome::Code(7), "the code of its TERM handler")
}

fn kill_harmless(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    // Ignored by default, and by number the highest that a program may use.
    for signal in [Signal::new("URG")?, Signal::CONT, Signal::new("64")?] {
        container.kill(signal, &timeout())?;
        let result = TestContext::run_in(container.as_ref(), &Script::Exit(0))?;
        ensure!(result.success(), "a command after {signal}: {result:?}")?;
    }
    ensure!(container.running(timeout())?, "it does not run after them")
}

fn kill_stubborn(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stubborn)?;
    container.kill(Signal::KILL, &timeout())?;
    let outcome = container.wait(&timeout())?;
    ensure_eq!(outcome.shell_code(), Some(137), "the code after KILL")?;
    context.wait_for_exit(container.as_ref())
}

fn kill_ended(context: &TestContext<'_>) -> Verdict {
    let container = context.created(&Script::Stand)?;
    ensure_refused(container.kill(Signal::TERM, &timeout()), ErrorKind::NotRunning)?;
    context.start(container.as_ref())?;
    container.stop(Duration::ZERO, &timeout())?;
    ensure_refused(container.kill(Signal::KILL, &timeout()), ErrorKind::NotRunning)
}

fn kill_absent(context: &TestContext<'_>) -> Verdict {
    ensure_refused(context.missing_container()?.kill(Signal::TERM, &timeout()), ErrorKind::NoSuchContainer)
}

fn restart_running(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let before = container.inspect(&timeout())?;
    container.restart(Duration::ZERO, timeout())?;
    let after = container.inspect(&timeout())?;
    let Some((before, after)) = before.zip(after) else { return Err(Failure::new("it is gone")) };
    ensure_eq!(after.id, before.id, "the id after a restart")?;
    ensure_eq!(after.state, ContainerState::Running, "the state after a restart")?;
    ensure!(
        after.started_at >= before.started_at,
        "it was started {:?}, before {:?}",
        after.started_at,
        before.started_at
    )?;
    let result = TestContext::run_in(container.as_ref(), &Script::Exit(0))?;
    ensure!(result.success(), "a command after a restart: {result:?}")
}

fn restart_created(context: &TestContext<'_>) -> Verdict {
    let container = context.created(&Script::Stand)?;
    container.restart(Duration::ZERO, timeout())?;
    ensure!(container.running(timeout())?, "it does not run after a restart")
}

fn restart_absent(context: &TestContext<'_>) -> Verdict {
    let answer = context.missing_container()?.restart(Duration::ZERO, timeout());
    ensure_refused(answer, ErrorKind::NoSuchContainer)
}

fn remove(context: &TestContext<'_>) -> Verdict {
    let containers = [
        context.created(&Script::Stand)?,
        context.started(&Script::Stand)?,
        context.started(&Script::Stand)?,
    ];
    containers[2].stop(Duration::ZERO, &timeout())?;
    for container in containers {
        container.remove(&timeout())?;
        ensure_eq!(container.state(timeout())?, None, "the state after the removal")?;
        container.remove(&timeout())?;
    }
    Ok(())
}

fn remove_paused(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    container.pause(&timeout())?;
    container.remove(&timeout())?;
    ensure_eq!(container.state(timeout())?, None, "the state after the removal")
}

fn remove_absent(context: &TestContext<'_>) -> Verdict {
    Ok(context.missing_container()?.remove(&timeout())?)
}
