//! Ends a command from the host: finds its processes by podman's records and `/proc`, and signals
//! them one by one.
//!
//! podman itself is not called until they have ended, because it may be as slow as the machine, or
//! hang.

use std::time::{Duration, Instant};

use rt_process::Process;
use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::{KILL_GRACE, KillOutcome, KillReport, Signal};

use super::family::Family;
use super::pause::pause;
use super::signals::{send, stop_tree};
use super::started_exec::StartedExec;
use crate::exec::session::{ExecSession, ExecSessions};
use crate::exec::witness::{Evidence, ExecWitness};
use crate::state::target::Target;

/// The result of looking from the host.
pub(crate) enum Verdict {
    /// The command was looked for, with this result. Also its conmon, if it is still there, and
    /// podman's record of it if no process is left to remove that.
    Ended(KillReport, Option<ProcessEntry>, Option<ExecSession>),
    /// The host cannot see the container's processes, for this reason.
    CannotLook(String),
    /// The same, and podman does not answer: calling it would not help.
    NobodyCanLook(String),
}

/// How long a client may take from its start until its exec session appears.
const SESSION_LIMIT: Duration = Duration::from_millis(400);
/// How long conmon may take from the session until the command runs.
const START_LIMIT: Duration = Duration::from_secs(1);

/// Finds and ends the command of `process`, the client of `exec`, which `witness` has watched from
/// the beginning.
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
        family.end(KILL_GRACE, &mut || pause(process), container.engine().limits.kill_report)?;
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
        // The client is gone, so no record will come either.
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
    /// It has run, and may still run.
    Begun,
    /// It was starting and has been stopped.
    Aborted,
    /// podman has no session of it, and its client is gone.
    NoSession,
}

/// Where the command is searched.
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
                // The OCI runtime is stopped or very slow. What it would start later must not run
                // unattended.
                return Ok(if family.abort_start()? { Start::Aborted } else { Start::Begun });
            }
            if stopped_client || process.has_exited() {
                // The record of a client that was ended before it could start conmon.
                return Ok(Start::Aborted);
            }
            // The client is still working. Once it is stopped, its records show everything that it
            // has done.
            let stopped = self.exec.client.as_ref().map(stop_tree).transpose()?.unwrap_or_default();
            stopped_client = true;
            self.look(family, process)?;
            // Its children too: one may be about to become conmon, and one of a rootless podman is
            // the actual client.
            for entry in &stopped {
                send(entry, &[Signal::KILL]);
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

/// Returns whether the container runs, by what the host sees or what podman says; `None` if podman
/// does not say.
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
