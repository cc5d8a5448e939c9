//! Signals: deaths by signal, and commands whose container goes away under them.

use std::time::Duration;

use rt_protocol::{CancelToken, Capability, Container, ExecResult, ExitOutcome};

use crate::required::{RUN, STOP};
use crate::threads::joined;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, Shape, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Signals, run).needs(&[Need::Shell])
}

pub(super) const CASES: &[Case] = &[
    fact("signals: a death by KILL is reported as the backend claims", |context| death(context, "KILL", 137))
        .core(),
    fact("signals: a death by TERM is reported as the backend claims", |context| death(context, "TERM", 143))
        .core(),
    fact("signals: a death by SEGV is reported as the backend claims", |context| death(context, "SEGV", 139))
        .core(),
    fact("signals: a command whose container is removed is lost", removed_meanwhile).can(RUN),
    fact("signals: a command whose container is stopped is lost", stopped_meanwhile).can(STOP),
];

fn death(context: &TestContext<'_>, signal: &str, folded: i32) -> Verdict {
    let result = context.run(&Script::Die(signal.into()))?;
    // Without the capability, a backend may learn the signal in some containers only.
    if context.can(Capability::Signals) || result.outcome != ExitOutcome::Code(folded) {
        ensure_eq!(result.outcome, ExitOutcome::Signal(signal.into()), "the outcome")?;
    }
    ensure_eq!(result.outcome.shell_code(), Some(folded), "what a shell would say")
}

/// Runs a command that stays, calls `this` on its container once it runs, and returns the result of
/// the command.
fn meanwhile(
    context: &TestContext<'_>,
    container: &dyn Container,
    this: impl FnOnce() -> Verdict,
) -> Result<rt_protocol::Result<ExecResult>, Failure> {
    let request = context.request(&Script::Hold { shape: Shape::Alone, token: context.token() })?;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let begin = std::time::Instant::now();
            // A token that is never cancelled: a backend that skips time must not skip this wait.
            let until = timeout().or_cancelled(&CancelToken::new());
            (container.exec(&request, &until), begin.elapsed())
        });
        // Long enough for the command to start on any engine. If it does not start, the result is
        // an error that says so.
        let _ = timeout().sleep(Duration::from_secs(1));
        let done = this();
        let (answer, took) = joined(call);
        done?;
        ensure!(took < Duration::from_secs(30), "the call went on for {took:?}")?;
        Ok(answer)
    })
}

fn removed_meanwhile(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let answer = meanwhile(context, container.as_ref(), || {
        let results = context.runtime().force_remove(&[container.key().name.clone()], &timeout());
        ensure!(results.iter().all(|result| result.removed), "it could not be removed: {results:?}")
    })?;
    ensure_eq!(answer?.outcome, ExitOutcome::Lost, "the outcome")
}

fn stopped_meanwhile(context: &TestContext<'_>) -> Verdict {
    let container = context.started(&Script::Stand)?;
    let answer = meanwhile(context, container.as_ref(), || Ok(container.stop(Duration::ZERO, &timeout())?))?;
    ensure_eq!(answer?.outcome, ExitOutcome::Lost, "the outcome")
}
