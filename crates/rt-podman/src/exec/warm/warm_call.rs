//! One command by the agents of a container, and what happens when they do not serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rt_agent::{Agent, AgentError, AgentSource, CommandOrders, FileRequest, Stall};
use rt_process::procfs::{self, ProcessEntry};
use rt_process::{CommandSlot, ExecMarker};
use rt_protocol::{
    BackgroundCommand, CommandControl, CommandPipes, ContainerState, Error, ErrorKind, ExecRequest,
    ExecResult, ExecStdio, KillReport, OperationSpan, Result, StdioResult, Until, User,
};

use super::agent_client::PROGRAM_PATH;
use super::exec_path::{ColdReason, ExecPath, NoAgent};
use crate::cli::failure;
use crate::exec::kill::family::Family;
use crate::exec::kill::started_exec::StartedExec;
use crate::exec::target::ExecTarget;
use crate::state::improper_state;
use crate::state::target::Target;

const OPERATION: &str = "exec in";

/// How many runs of a container that is being restarted are tried for one command.
const MOST_RUNS: u32 = 3;

/// The clock ticks of proc(5) in a second: `USER_HZ`, which Linux has fixed.
const TICKS_PER_SECOND: f64 = 100.0;

/// One command for the agents of a container.
pub(crate) struct WarmCall {
    container: Target,
    user: Option<User>,
    target: Arc<ExecTarget>,
    marker: ExecMarker,
    /// The limit of the call, or of the start alone if the command is spawned.
    until: Until,
    began: Instant,
    /// The agent that the command is given to next, or was given to last.
    agent: Agent,
    was_replaced: bool,
    /// Agents do not serve this command, as was learned since the call began. It never ran.
    has_gone_cold: Arc<AtomicBool>,
    is_bridged: bool,
}

impl WarmCall {
    /// The call, if it goes by an agent; `None` if it takes the cold path.
    ///
    /// # Errors
    /// The command certainly never ran: `until` was over, or the path was chosen and is not there.
    pub(crate) fn open(
        container: &Target,
        request: &ExecRequest,
        is_bridged: bool,
        until: &Until,
    ) -> Result<Option<Self>> {
        let state = container.state();
        if state.exec_path == ExecPath::Cold {
            return Ok(None);
        }
        let began = Instant::now();
        let stopped = |stop| {
            let error = Error::stopped(stop, OPERATION).in_container(container.name());
            error.of_unstarted_command(is_bridged)
        };
        until.check().map_err(stopped)?;
        let mut tries = 0;
        let (target, agent) = loop {
            let target = container.exec_target(OPERATION, until).map_err(|error| match error.kind() {
                ErrorKind::TimedOut | ErrorKind::Cancelled => {
                    error.in_container(container.name()).of_unstarted_command(is_bridged)
                }
                _ => error,
            })?;
            let agent = state.agents.agent(&state.engine, &target, request.user(), until);
            match agent {
                Ok(agent) => break (target, agent),
                Err(NoAgent::Stopped(stop)) => return Err(stopped(stop)),
                // This run of the container has ended since, whatever the reason seemed to be.
                // There may be a next one.
                Err(NoAgent::Cold(_)) if tries < MOST_RUNS && target.seems_over() => tries += 1,
                Err(NoAgent::Cold(_)) if state.exec_path == ExecPath::Auto => return Ok(None),
                Err(NoAgent::Cold(reason)) => return Err(refusal(container, &target, &reason)),
            }
        };
        Ok(Some(Self {
            container: container.clone(),
            user: request.user().cloned(),
            target,
            marker: ExecMarker::fresh(),
            until: until.clone(),
            began,
            agent,
            was_replaced: false,
            has_gone_cold: Arc::default(),
            is_bridged,
        }))
    }

    /// Runs the command and captures its output; `None` if no agent took it and it takes the cold
    /// path.
    pub(crate) fn captured(mut self, request: &ExecRequest, until: &Until) -> Result<Option<ExecResult>> {
        let (marker, container) = (self.marker.clone(), self.container.name().clone());
        let goes_cold = self.goes_cold();
        match rt_agent::captured(&mut self, request, &marker, &container, until) {
            Err(_) if goes_cold() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Runs the command with its streams bridged.
    pub(crate) fn bridged(
        mut self,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        orders: Option<&CommandSlot<CommandOrders>>,
        until: &Until,
    ) -> Result<StdioResult> {
        let (marker, container) = (self.marker.clone(), self.container.name().clone());
        rt_agent::bridged(&mut self, request, &marker, stdio, &container, orders, until)
    }

    /// Does an operation on files; `None` if no agent took it and it takes the cold path.
    pub(crate) fn file(mut self, request: &FileRequest<'_>, until: &Until) -> Result<Option<Vec<u8>>> {
        let (marker, container) = (self.marker.clone(), self.container.name().clone());
        let goes_cold = self.goes_cold();
        match rt_agent::file(&mut self, request, &marker, &container, until) {
            Err(_) if goes_cold() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Starts the command, whose streams a thread serves.
    pub(crate) fn background(
        mut self,
        request: &ExecRequest,
        stdio: ExecStdio<'static>,
        span: &OperationSpan,
    ) -> Result<Box<dyn CommandControl>> {
        let (container, limit) = (self.container.name().clone(), self.container.engine().limits.read);
        let orders = Arc::<CommandSlot<CommandOrders>>::default();
        let call = {
            let (request, orders) = (request.clone(), Arc::clone(&orders));
            move |until: &Until| {
                self.until = until.clone();
                let result = self.bridged(&request, stdio, Some(&orders), until);
                orders.close();
                result
            }
        };
        let command =
            BackgroundCommand::start(span.wrap(call)).map_err(|error| error.in_container(&container))?;
        let of_resizes = Arc::clone(&orders);
        let command = command.with_resizes(move |size| {
            if let Some(orders) = of_resizes.command("resize a terminal in", &Until::after(limit))? {
                orders.resize(size);
            }
            Ok(())
        });
        Ok(Box::new(command.with_signals(move |signal| {
            if let Some(orders) = orders.command("signal a command in", &Until::after(limit))? {
                orders.signal_group(signal);
            }
            Ok(())
        })))
    }

    /// Starts the command with these pipes; `None` if no agent took it and it takes the cold path.
    pub(crate) fn spawned(
        self,
        request: &ExecRequest,
        pipes: &CommandPipes<'_>,
        until: &Until,
    ) -> Result<Option<Box<dyn CommandControl>>> {
        let (marker, container) = (self.marker.clone(), self.container.name().clone());
        let goes_cold = self.goes_cold();
        match rt_agent::spawned(Box::new(self), request, &marker, pipes, &container, until) {
            Err(_) if goes_cold() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Tells whether agents have refused the command, which never ran, and another path may be
    /// taken.
    fn goes_cold(&self) -> impl Fn() -> bool + use<> {
        let is_auto = self.container.state().exec_path == ExecPath::Auto;
        let has_gone_cold = Arc::clone(&self.has_gone_cold);
        move || is_auto && has_gone_cold.load(Ordering::Relaxed)
    }
}

impl AgentSource for WarmCall {
    fn agent(&mut self, refused: Option<AgentError>) -> Result<Agent> {
        let Some(refused) = refused else { return Ok(self.agent.clone()) };
        let state = self.container.state();
        // One that is gone may have gone with its container.
        if self.target.first_process().is_none() {
            return Err(improper_state::of_state(&self.container, OPERATION, ""));
        }
        let user = self.user.as_ref();
        let is_stalled = matches!(refused, AgentError::Stalled);
        if std::mem::replace(&mut self.was_replaced, true) {
            if is_stalled {
                let reason = ColdReason::Refused(String::from("agents in the container take no commands"));
                state.agents.give_up(&self.target, user, reason.clone());
                return Err(self.no_agent(reason));
            }
            if state.exec_path == ExecPath::Auto {
                // Something in the container ends them; podman serves this command.
                return Err(self.no_agent(ColdReason::Refused(refused.to_string())));
            }
        }
        state.agents.replace(&self.target, user, &self.agent);
        match state.agents.agent(&state.engine, &self.target, user, &self.until) {
            Ok(agent) => {
                self.agent = agent;
                Ok(self.agent.clone())
            }
            Err(NoAgent::Stopped(stop)) => Err(Error::stopped(stop, OPERATION)),
            Err(NoAgent::Cold(reason)) => Err(self.no_agent(reason)),
        }
    }

    fn no_room(&mut self) -> Option<Error> {
        // The kernel has no memory for new processes in a pid namespace whose first one has ended.
        if self.target.first_process().is_none() {
            return Some(improper_state::of_state(&self.container, OPERATION, ""));
        }
        // `podman exec` needs room for one process less.
        self.has_gone_cold.store(true, Ordering::Relaxed);
        None
    }

    fn stalled(&mut self, supervisor: Option<u32>) -> Stall {
        let process = supervisor.or(self.agent.host_pid());
        let is_gone = process.is_none_or(|pid| matches!(procfs::entry(pid), Ok(None)));
        if is_gone {
            return Stall::Replace;
        }
        let Some(_asking) = self.container.state().agents.ask_about_stall() else { return Stall::Wait };
        match self.container.inspect_target(&self.target, self.container.engine().limits.read) {
            Ok(Some(found)) if found.info.state == ContainerState::Running => {
                let is_stopped = process.is_some_and(|pid| matches!(procfs::is_stopped(pid), Ok(true)));
                if is_stopped { Stall::Replace } else { Stall::Wait }
            }
            // Paused, or on its way to its end.
            Ok(Some(found)) => Stall::GiveUp(improper_state::of_found(&self.container, OPERATION, &found)),
            Ok(None) => Stall::GiveUp(self.container.no_such(OPERATION)),
            // podman does not say; the caller's limit decides.
            Err(_) => Stall::Wait,
        }
    }

    fn end_orphans(
        &mut self,
        supervisor: Option<u32>,
        grace: Duration,
        pause: &mut dyn FnMut(),
    ) -> Option<KillReport> {
        let exec = StartedExec::without_client(&self.target, self.marker.clone(), ticks_since(self.began)?);
        let supervisor = supervisor
            .and_then(|pid| procfs::entry(pid).ok().flatten())
            .filter(|entry| entry.start_time >= exec.began && is_of_agent(entry));
        let agent = self.agent.host_pid().filter(|_| self.agent.is_alive());
        let mut family = Family::new(&exec, self.container.claims()).ok()?.with_agent(supervisor, agent);
        family.end(grace, pause, self.container.engine().limits.kill_report).ok()?;
        Some(family.report())
    }
}

impl WarmCall {
    /// The error of a command that agents have refused, which never ran. From here on commands take
    /// the cold path, if the runtime has it.
    fn no_agent(&mut self, reason: ColdReason) -> Error {
        let error = match self.container.state().exec_path {
            ExecPath::Auto => {
                let message = format!("no agent took it: {reason}");
                Error::new(ErrorKind::BackendInterrupted, OPERATION, message)
                    .in_container(self.container.name())
                    .with_hint("send it again")
                    .of_unstarted_command(self.is_bridged)
            }
            _ => refusal(&self.container, &self.target, &reason),
        };
        self.has_gone_cold.store(true, Ordering::Relaxed);
        error
    }
}

/// The error of a command that was to go by an agent where there is none.
fn refusal(container: &Target, target: &ExecTarget, reason: &ColdReason) -> Error {
    if *reason == ColdReason::NotSeen || target.seems_over() {
        match container.inspect_within(container.engine().limits.read) {
            Ok(Some(found)) if !target.is_same_run(&found) || found.has_lost_first_process() => {
                return improper_state::of_found(container, OPERATION, &found);
            }
            Ok(None) => return container.no_such(OPERATION),
            Ok(Some(_)) | Err(_) => {}
        }
    }
    if let ColdReason::Refused(words) = reason
        && let Some(failure) = failure::classify(words)
    {
        return match failure {
            failure::Failure::NotRunning => improper_state::of_state(container, OPERATION, words),
            failure => failure.into_error(OPERATION, container.name(), words),
        };
    }
    Error::new(ErrorKind::Unsupported, OPERATION, reason.to_string())
        .in_container(container.name())
        .with_hint("choose ExecPath::Auto, which runs such commands by podman")
}

/// Whether this is a fork of an agent, and no process that has its number by now.
fn is_of_agent(entry: &ProcessEntry) -> bool {
    let words = procfs::command_line(entry.pid).ok().flatten().unwrap_or_default();
    !entry.is_zombie && words.first().is_some_and(|program| program == PROGRAM_PATH)
}

/// What the clock of proc(5) showed at this time, or a little earlier.
fn ticks_since(began: Instant) -> Option<u64> {
    const MARGIN: Duration = Duration::from_millis(50);
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let ticks = (seconds - (began.elapsed() + MARGIN).as_secs_f64()) * TICKS_PER_SECOND;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of ticks")]
    Some(ticks.max(0.0) as u64)
}
