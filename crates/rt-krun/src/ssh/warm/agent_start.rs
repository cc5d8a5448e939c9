//! Starts an agent in a guest, on a channel of a connection.

use std::time::Instant;

use rt_agent::PROGRAM;
use rt_podman::ColdReason;
use rt_process::ExecMarker;
use rt_protocol::{Error, ExitOutcome, Result, Until};

use super::agent_place::{Found, GuestAgent};
use crate::ssh::call::{Call, OPERATION, connections_end};
use crate::ssh::channel::job::{Job, JobEnd, JobHandle, JobOutput, NotStarted, Ran};
use crate::ssh::shell::remote_command::{RemoteCommand, Stdin};
use crate::ssh::shell::remote_failure::FailureSentinel;
use crate::ssh::shell::{agent_script, words};

/// How often a start is tried whose connection ends meanwhile.
const MOST_TRIES: u32 = 2;

/// Returns an agent for the command, or why there is none; starts one if necessary.
///
/// # Errors
/// The command certainly never ran: there is no connection, or the limit was over.
pub(super) fn agent(call: &Call<'_>, until: &Until) -> Result<std::result::Result<GuestAgent, ColdReason>> {
    let Some(program) = PROGRAM else { return Ok(Err(ColdReason::NoProgram)) };
    let place = call.context.pool.agent_place(call.name(), &call.user);
    let stopped = |stop| call.not_started(Error::stopped(stop, OPERATION));
    match place.find(Instant::now(), until).map_err(stopped)? {
        Found::Warm(agent) => Ok(Ok(agent)),
        Found::Refused(reason) => Ok(Err(reason)),
        Found::Failed(error) => Err(call.not_started(error)),
        Found::Start(starter) => match start(call, program, until) {
            Ok(Ok(agent)) => {
                tracing::debug!(
                    target: "rt_krun", container = %call.name(), user = %call.user, "commands go by an agent"
                );
                starter.warm(agent.clone());
                Ok(Ok(agent))
            }
            Ok(Err(reason)) => {
                tracing::debug!(
                    target: "rt_krun", container = %call.name(), user = %call.user, %reason,
                    "commands go by channels"
                );
                starter.refused(reason.clone());
                Ok(Err(reason))
            }
            Err(error) => {
                // The limit of one caller says nothing to the others.
                if until.check().is_ok() {
                    starter.failed(error.clone());
                }
                Err(error)
            }
        },
    }
}

fn start(
    call: &Call<'_>,
    program: &'static [u8],
    until: &Until,
) -> Result<std::result::Result<GuestAgent, ColdReason>> {
    let refused = |why: String| Ok(Err(ColdReason::Refused(why)));
    let limit = call.context.pool.settings.config.connect_limit;
    for _ in 0..MOST_TRIES {
        let (permit, handle) = call.begin(until, |handle| job(call, program, handle))?;
        match handle.wait_for_agent(&until.clone().or_after(limit)) {
            Ok(Some(agent)) => {
                return Ok(Ok(GuestAgent { agent, session: permit.session().clone(), job: handle }));
            }
            Ok(None) => {}
            Err(stop) => {
                permit.leave(&handle);
                until.check().map_err(|_| call.not_started(Error::stopped(stop, OPERATION)))?;
                return refused(format!("it said nothing within {} s", limit.as_secs()));
            }
        }
        match handle.take_end() {
            Some(JobEnd::NoAgent(why)) => return refused(why.to_owned()),
            Some(JobEnd::NotStarted(NotStarted::Refused(error))) => return Err(call.not_started(error)),
            Some(JobEnd::Ran(_)) if permit.session().is_gone() => {}
            Some(JobEnd::Ran(ran)) => return refused(reason(ran)),
            Some(JobEnd::NotStarted(_)) | None => {}
        }
    }
    Err(call.not_started(connections_end()))
}

fn job(call: &Call<'_>, program: &'static [u8], handle: &JobHandle) -> Result<Job> {
    let refused = |refused| call.with_container(Error::from(refused).during(OPERATION));
    let request = agent_script::request(program.len()).map_err(refused)?;
    let sentinel = FailureSentinel::fresh();
    let command = RemoteCommand::new(&request, None, Stdin::Piped, &ExecMarker::fresh(), &sentinel);
    Ok(Job {
        command: command.map_err(refused)?,
        sentinel,
        terminal: None,
        stdin: None,
        output: JobOutput::Agent(program),
        guard: handle.guard(),
    })
}

/// Says why a script has become no agent. The guest chose these words.
fn reason(ran: Ran) -> String {
    let [_, stderr] = &ran.captured;
    let said = stderr.as_bytes().trim_ascii();
    let last = said.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    match ran.outcome {
        _ if ran.failure.is_some() => String::from("its login shell found no `sh`"),
        _ if !last.is_empty() => words::shown(last),
        ExitOutcome::Lost => String::from("its sshd did not say how the agent ended"),
        outcome => format!("the agent ended at once ({outcome})"),
    }
}
