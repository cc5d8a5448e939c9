//! The one answer to a command that was ended before it ended by itself, or kept from beginning:
//! every backend tells the same.

use rt_protocol::{Error, ErrorKind, KillOutcome, KillReport, PartialOutput};

use crate::{Failure, TestContext};

/// What became of the command; fails the case unless the rest of the answer is there: whose command
/// it was, what to do next, what had arrived, and the cause where a stream has failed.
pub(crate) fn interrupted(
    context: &TestContext<'_>,
    error: &Error,
    is_bridged: bool,
) -> Result<KillReport, Failure> {
    let Some(report) = error.kill_report() else {
        return Err(Failure::new(format!("there is no kill report: {error:?}")));
    };
    let name = context.standing()?.key().name.clone();
    ensure_eq!(error.subject(), Some(&*format!("container `{name}`")), "whose command it was")?;
    ensure_eq!(error.hint(), Some(report.outcome.hint()), "the hint")?;
    let has_cause = std::error::Error::source(error).is_some();
    let needs_cause = matches!(error.kind(), ErrorKind::SourceFailed | ErrorKind::SinkFailed);
    ensure!(has_cause || !needs_cause, "the cause is missing: {error:?}")?;
    let Some(partial) = error.partial().filter(|partial| is_bridged == is_of_bridge(partial)) else {
        return Err(Failure::new(format!("what had arrived is missing: {error:?}")));
    };
    if report.outcome == KillOutcome::NeverStarted {
        ensure_eq!(*partial, PartialOutput::nothing(is_bridged), "what had arrived")?;
        ensure!(
            report.killed == 0 && report.survivors.is_empty(),
            "of a command that never ran: {report:?}"
        )?;
    }
    Ok(report.clone())
}

fn is_of_bridge(partial: &PartialOutput) -> bool {
    matches!(partial, PartialOutput::Streams { .. })
}
