//! Ends a command where it runs, and checks that it is gone.
//!
//! Signals to a `podman exec` client never reach the command, so the processes themselves are found
//! and ended. This happens from the host, by podman's own records and `/proc` ([`host`],
//! [`family`]), or by a second exec if the host cannot see them ([`inside`]).

pub(crate) mod claims;
mod conmon;
pub(crate) mod container_signs;
pub(crate) mod family;
mod host;
pub(crate) mod inside;
mod pause;
pub(crate) mod signals;
pub(crate) mod started_exec;

use std::time::{Duration, Instant};

use rt_process::Process;
use rt_protocol::{KillOutcome, KillReport, Signal, Until, User};

use super::witness::ExecWitness;
use crate::state::kill_strategy::KillStrategy;
use crate::state::target::Target;
use signals::send;
use started_exec::StartedExec;

/// How long a client may take to exit after its command is gone.
const CLIENT_GRACE: Duration = Duration::from_secs(1);

/// Ends what `process`, the client of `exec`, has started, and then the client. `user` is the
/// command's user, if not the container's own; `witness` has watched since before the client was
/// started.
pub(crate) fn end_exec(
    container: &Target,
    process: &mut Process<'_>,
    exec: &StartedExec<'_>,
    witness: &mut ExecWitness,
    user: Option<&User>,
) -> KillReport {
    let begun = Instant::now();
    let found = match container.kill_strategy() {
        KillStrategy::Auto => host::end(container, process, exec, witness),
        KillStrategy::InContainer => host::Verdict::CannotLook(String::from("it was not asked to")),
    };
    let mut conmon = None;
    let mut orphan = None;
    let report = match found {
        host::Verdict::Ended(report, of_exec, record) => {
            conmon = of_exec;
            orphan = record;
            report
        }
        host::Verdict::NobodyCanLook(why) => KillReport::unknown(why),
        host::Verdict::CannotLook(why) => inside::end(container, &exec.marker, user, &why),
    };
    if let Some(conmon) = &conmon {
        // A stopped conmon has not yet noticed that its command has ended.
        send(conmon, &[Signal::CONT]);
    }
    // The client exits by itself once its command is gone, with the last of the output. If it does
    // not, it is ended; its exec session then stays in podman's list until the container stops.
    if report.outcome != KillOutcome::Alive && !process.has_exited() && !exec.client_is_stopped() {
        // However the drive ends, the client is ended next.
        drop(process.drive(&Until::after(CLIENT_GRACE)));
    }
    process.end(Duration::ZERO);
    if let Some(session) = &orphan {
        // It was ended before it began.
        let until = Until::after(container.engine().limits.kill_report);
        session.forget(container.engine(), &exec.target.id, &until);
    }
    report.with_elapsed(begun.elapsed())
}
