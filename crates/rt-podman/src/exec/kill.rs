//! Ending a command where it runs, and looking whether it is gone.
//!
//! Signals to a `podman exec` client never reach the command, so the processes themselves are found and ended: from the
//! host, where podman's own records and `/proc` tell which processes are meant ([`host`], [`family`]), or by a second exec
//! where the host cannot see them ([`inside`]).

pub(crate) mod claims;
mod conmon;
mod container_signs;
mod family;
mod host;
mod inside;
mod pause;
mod signals;
pub(crate) mod started_exec;

use std::time::{Duration, Instant};

use rt_process::Process;
use rt_process::procfs::Signal;
use rt_protocol::{KillOutcome, KillReport, Until, User};

use super::session::ExecSession;
use super::witness::ExecWitness;
use crate::cli::answer::Answer;
use crate::state::kill_strategy::KillStrategy;
use crate::state::target::Target;
use signals::send;
use started_exec::StartedExec;

/// How long a client whose command is gone may take to say so and leave.
const CLIENT_GRACE: Duration = Duration::from_secs(1);

/// Ends what `process`, the client of `exec`, has started, and then the client. `user` is whom the command was to run as, if not
/// the container's own; `witness` has looked since before the client was started.
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
        // Where somebody has stopped it, it has yet to see that its command has ended.
        send(conmon, &[Signal::Cont]);
    }
    // The client leaves by itself once its command is gone, with the last of the output. One that does not is ended; its
    // exec session is then stale until the container stops.
    if report.outcome != KillOutcome::Alive && !process.has_exited() && !exec.client_is_stopped() {
        // However the drive ends, the client is ended next.
        drop(process.drive(&Until::after(CLIENT_GRACE)));
    }
    process.end(Duration::ZERO);
    if let Some(session) = &orphan {
        forget(container, exec, session);
    }
    report.with_elapsed(begun.elapsed())
}

/// Has podman forget a command that was ended before it began: what was to be run stands in its record, the environment too.
fn forget(container: &Target, exec: &StartedExec<'_>, session: &ExecSession) {
    let Some(id) = session.id() else { return };
    let engine = container.engine();
    let until = Until::after(engine.limits.kill_report);
    // With `--rm` podman 4.3.1 removes the id alone, and the record stays.
    for remove in [&[][..], &["--rm"]] {
        let words = [&["container", "cleanup", "--exec", id], remove, &["--", &exec.target.id]].concat();
        // Where the client has done it, podman knows no such session.
        match engine.ask_until("clean up in", &until, words).and_then(Answer::printed) {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => {
                tracing::debug!(stderr = %refusal.stderr, "an exec session was not forgotten");
            }
            Err(error) => tracing::debug!(%error, "an exec session was not forgotten"),
        }
    }
}
