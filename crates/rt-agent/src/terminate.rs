//! Ends a command with all its descendants, and says what became of them.

use std::time::{Duration, Instant};

use rt_process::ExitStatus;
use rt_protocol::{ExitOutcome, KILL_GRACE, KillOutcome, KillReport, Signal, Until};

use crate::{AgentSource, Descendants, Stall, Supervised};

/// The time between two looks at the processes of a command that is being ended.
const PAUSE: Duration = Duration::from_millis(15);

/// After this time beyond the grace period of a command that is being killed, `stalled` is called.
const END_STALL: Duration = Duration::from_millis(500);

/// How long the supervisor may take, after the grace period, to report the end of its command.
const END_WAIT: Duration = Duration::from_millis(4500);

/// Waits at most until the limit, or until nothing is left to wait for, while the streams of the
/// command go on moving.
pub(crate) type Wait<'w> = dyn FnMut(&Until, &mut Supervised) + 'w;

/// Ends the command with all its descendants.
pub(crate) fn end_tree(agents: &mut dyn AgentSource, command: &mut Supervised, wait: &mut Wait<'_>) {
    let begun = Instant::now();
    command.end(KILL_GRACE);
    for more in [END_STALL, END_WAIT] {
        wait(&Until::after((KILL_GRACE + more).saturating_sub(begun.elapsed())), command);
        if command.progress().is_settled() || !matches!(agents.stalled(command.host_pid()), Stall::Wait) {
            break;
        }
    }
}

/// Says what became of a command that was ended.
pub(crate) fn report_of_end(
    agents: &mut dyn AgentSource,
    command: &mut Supervised,
    wait: &mut Wait<'_>,
) -> KillReport {
    let progress = command.progress();
    let (outcome, killed) = match progress.descendants() {
        Some(Descendants::Gone(count)) => (KillOutcome::Gone, count),
        Some(Descendants::RunOn) => (unknown("it had exited, and what it left runs on"), 0),
        Some(Descendants::Left(count)) => (unknown(&format!("{count} of its processes survive KILL")), 0),
        None if progress.has_ended() => (unknown("its supervisor was ended from outside"), 0),
        None => (unknown("its supervisor does not answer; it ends the command when it can"), 0),
    };
    let is_settled = progress.descendants().is_some();
    let looked = if is_settled { None } else { end_orphans(agents, command, Duration::ZERO, wait) };
    looked.unwrap_or_else(|| KillReport::new(outcome, killed as usize, Vec::new(), Duration::ZERO))
}

/// Has `agents` end what still runs of the command, while its output goes on moving.
pub(crate) fn end_orphans(
    agents: &mut dyn AgentSource,
    command: &mut Supervised,
    grace: Duration,
    wait: &mut Wait<'_>,
) -> Option<KillReport> {
    let supervisor = command.host_pid();
    agents.end_orphans(supervisor, grace, &mut || {
        let begun = Instant::now();
        wait(&Until::after(PAUSE), command);
        std::thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
    })
}

fn unknown(why: &str) -> KillOutcome {
    KillOutcome::Unknown(why.to_owned())
}

/// Returns how a command ended by its status.
pub(crate) fn exit_outcome(status: ExitStatus) -> ExitOutcome {
    match status {
        ExitStatus::Code(code) => ExitOutcome::Code(code),
        ExitStatus::Signal(number) => ExitOutcome::Signal(signal_name(number)),
    }
}

fn signal_name(number: i32) -> String {
    let known = u32::try_from(number).ok().and_then(Signal::from_number);
    known.map_or_else(|| number.to_string(), |signal| signal.to_string())
}
