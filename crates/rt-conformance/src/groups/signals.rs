//! Signals: deaths by signal, and commands whose container goes away under them.

use std::time::Duration;

use rt_protocol::{CancelToken, Capability, Container, ExecResult, ExitOutcome};

use crate::case::{Case, Group, Need};
use crate::lab::patience;
use crate::{Failure, Lab, Script, Shape, Verdict};

const fn fact(name: &'static str, run: fn(&Lab<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Signals, run).needs(&[Need::Shell])
}

pub(super) const CASES: &[Case] = &[
    fact("signals: a death by KILL is reported as the backend claims", |lab| death(lab, "KILL", 137)).core(),
    fact("signals: a death by TERM is reported as the backend claims", |lab| death(lab, "TERM", 143)).core(),
    fact("signals: a death by SEGV is reported as the backend claims", |lab| death(lab, "SEGV", 139)).core(),
    fact("signals: a command whose container is removed is lost", removed_meanwhile).can(&[
        Capability::Create,
        Capability::Start,
        Capability::ForceRemove,
    ]),
    fact("signals: a command whose container is stopped is lost", stopped_meanwhile).can(&[
        Capability::Create,
        Capability::Start,
        Capability::Stop,
        Capability::ForceRemove,
    ]),
];

fn death(lab: &Lab<'_>, signal: &str, folded: i32) -> Verdict {
    let result = lab.run(&Script::Die(signal.into()))?;
    let expected = if lab.can(Capability::Signals) {
        ExitOutcome::Signal(signal.into())
    } else {
        // A backend that is not told the signal does not guess one.
        ExitOutcome::Code(folded)
    };
    ensure_eq!(result.outcome, expected, "the outcome");
    ensure_eq!(result.outcome.shell_code(), Some(folded), "what a shell would say");
    Ok(())
}

/// Runs a command that stays, does `this` to its container once it runs, and gives the answer of the call.
fn meanwhile(
    lab: &Lab<'_>,
    container: &dyn Container,
    this: impl FnOnce() -> Verdict,
) -> Result<rt_protocol::Result<ExecResult>, Failure> {
    let request = lab.request(&Script::Hold { shape: Shape::Alone, token: lab.token() })?;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let begin = std::time::Instant::now();
            // A token that nobody cancels: a backend that skips time must not skip this wait.
            let until = patience().or_cancelled(&CancelToken::new());
            (container.exec(&request, &until), begin.elapsed())
        });
        // Long enough for the command to run on any engine; when it does not, the answer is an error and says so.
        let _ = patience().sleep(Duration::from_secs(1));
        let done = this();
        let (answer, took) = call.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done?;
        ensure!(took < Duration::from_secs(30), "the call went on for {took:?}");
        Ok(answer)
    })
}

fn removed_meanwhile(lab: &Lab<'_>) -> Verdict {
    let container = lab.started(&Script::Stand)?;
    let answer = meanwhile(lab, container.as_ref(), || {
        let results = lab.runtime().force_remove(&[container.key().name.clone()], &patience());
        ensure!(results.iter().all(|result| result.removed), "it could not be removed: {results:?}");
        Ok(())
    })?;
    ensure_eq!(answer?.outcome, ExitOutcome::Lost, "the outcome");
    Ok(())
}

fn stopped_meanwhile(lab: &Lab<'_>) -> Verdict {
    let container = lab.started(&Script::Stand)?;
    let answer = meanwhile(lab, container.as_ref(), || Ok(container.stop(Duration::ZERO, &patience())?))?;
    ensure_eq!(answer?.outcome, ExitOutcome::Lost, "the outcome");
    Ok(())
}
