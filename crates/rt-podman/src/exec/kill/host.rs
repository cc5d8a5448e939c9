//! Ending a command from the host: its processes are found by podman's records and `/proc`, and signalled one by one.
//!
//! podman itself is asked nothing until they have ended, because it may be as busy as the machine, or hang.

use std::time::{Duration, Instant};

use rt_process::Process;
use rt_process::procfs::{self, ProcessEntry, Signal};
use rt_protocol::{KillOutcome, KillReport};

use super::family::Family;
use super::pause::pause;
use super::signals::{send, stop_tree};
use super::started_exec::StartedExec;
use crate::exec::session::{ExecSession, ExecSessions};
use crate::exec::witness::{Evidence, ExecWitness};
use crate::state::target::Target;

/// What looking from the host came to.
pub(crate) enum Verdict {
    /// The command was looked up, and this became of it. With what stands for it outside of the container, and with podman's
    /// record of it where nobody is left to clean up.
    Ended(KillReport, Option<ProcessEntry>, Option<ExecSession>),
    /// The host cannot see the container's processes, for this reason.
    CannotLook(String),
    /// The same, and podman does not answer: asking it for help is in vain.
    NobodyCanLook(String),
}

/// How long a client may take from its start until its exec session shows.
const SESSION_LIMIT: Duration = Duration::from_millis(400);
/// How long conmon may take from the session until the command runs.
const START_LIMIT: Duration = Duration::from_secs(1);

/// Finds and ends the command of `process`, the client of `exec`, which `witness` has seen from its beginning.
pub(crate) fn end(
    container: &Target,
    process: &mut Process<'_>,
    exec: &StartedExec<'_>,
    witness: &mut ExecWitness,
) -> Verdict {
    let blind = |error: std::io::Error| Verdict::CannotLook(format!("/proc cannot be read: {error}"));
    let Some(static_dir) = &exec.target.static_dir else {
        return Verdict::CannotLook(String::from(
            "podman keeps its records where this process cannot see them",
        ));
    };
    let mut family = match Family::new(exec, container.claims()) {
        Ok(family) => family,
        Err(error) => return blind(error),
    };
    let mut search = Search { sessions: ExecSessions::new(static_dir), exec, witness };
    let start = match search.find(&mut family, process).and_then(|start| {
        family.end(process, container.engine().limits.kill_report)?;
        Ok(start)
    }) {
        Ok(start) => start,
        Err(error) => return blind(error),
    };
    let mut report = family.report();
    if report.outcome == KillOutcome::Gone && !family.has_seen_container() {
        match is_running(container, exec) {
            Some(false) => {}
            Some(true) => {
                return Verdict::CannotLook(String::from("its processes are not to be seen from here"));
            }
            None => {
                return Verdict::NobodyCanLook(String::from(
                    "none of its processes is to be seen from here, and podman does not say whether the container runs",
                ));
            }
        }
    }
    if report.outcome == KillOutcome::Gone && start == Start::NoSession && !family.has_members() {
        search.witness.look(process);
        // The client is no more, so none will come either.
        if search.witness.evidence(process.output_bytes()) == Evidence::NoRecord {
            report.outcome = KillOutcome::NeverStarted;
        }
    }
    // conmon's clean-up ends with conmon, and a client that was ended does none.
    let orphan = family.session().filter(|_| start == Start::Aborted).cloned();
    Verdict::Ended(report, family.conmon().cloned(), orphan)
}

/// How far the command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// It has run, and may run still.
    Begun,
    /// It was on its way and is no more.
    Aborted,
    /// podman has no session of it, and its client is no more.
    NoSession,
}

/// Where the command is looked for.
struct Search<'a> {
    exec: &'a StartedExec<'a>,
    witness: &'a mut ExecWitness,
    sessions: ExecSessions,
}

impl Search<'_> {
    fn find(&mut self, family: &mut Family<'_>, process: &mut Process<'_>) -> std::io::Result<Start> {
        let begun = Instant::now();
        let mut stopped_client = false;
        loop {
            self.look(family, process)?;
            if let Some(session) = family.session() {
                if let Some(leader) = session.pid() {
                    if let Some(leader) = procfs::entry(leader)?.filter(|leader| !leader.is_zombie) {
                        family.follow(leader);
                    }
                    return Ok(Start::Begun);
                }
                if !session.exists() {
                    // Cleaned up between two looks: it is over.
                    return Ok(Start::Begun);
                }
            } else if stopped_client || process.has_exited() {
                return Ok(Start::NoSession);
            }
            let limit = if family.session().is_some() { START_LIMIT } else { SESSION_LIMIT };
            if begun.elapsed() < limit {
                pause(process);
                continue;
            }
            if family.conmon().is_some() {
                // An OCI runtime that is stopped, or so slow: what it would start later must not be left to itself.
                return Ok(if family.abort_start()? { Start::Aborted } else { Start::Begun });
            }
            if stopped_client || process.has_exited() {
                // The record of a client that was ended before it could start conmon.
                return Ok(Start::Aborted);
            }
            // A client that is still on its way. Where it stands still, its records show all that it has done.
            let stopped = self.exec.client.as_ref().map(stop_tree).transpose()?.unwrap_or_default();
            stopped_client = true;
            self.look(family, process)?;
            // Its children too: one may be about to become conmon, and that of a rootless podman is the client proper.
            for entry in &stopped {
                send(entry, &[Signal::Kill]);
            }
            process.end(Duration::ZERO);
        }
    }

    fn look(&mut self, family: &mut Family<'_>, process: &Process<'_>) -> std::io::Result<()> {
        self.witness.look(process);
        if family.session().is_none()
            && let Some(session) = self.witness.session().or_else(|| self.sessions.find(&self.exec.marker))
        {
            family.set_session(session);
        }
        family.look()?;
        Ok(())
    }
}

/// Whether the container runs, by what the host sees, or in podman's words; `None` when it does not say.
fn is_running(container: &Target, exec: &StartedExec<'_>) -> Option<bool> {
    if exec.container_was_removed() || exec.target.init_is_alive() == Some(false) {
        return Some(false);
    }
    match container.inspect_target(exec.target, container.engine().limits.kill_report) {
        Ok(found) => Some(found.is_some_and(|found| found.pid.is_some())),
        Err(error) => {
            tracing::debug!(%error, "podman does not say whether the container of an ended command runs");
            None
        }
    }
}
