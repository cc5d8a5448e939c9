//! One command by the agent of a guest, and what happens when that does not serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rt_agent::{Agent, AgentError, AgentSource, CommandOrders, Stall};
use rt_podman::{ColdReason, ExecPath};
use rt_process::{CommandSlot, ExecMarker, RemoteKill};
use rt_protocol::{
    BackgroundCommand, CommandControl, CommandPipes, Container, ContainerName, Error, ErrorKind, ExecRequest,
    ExecResult, ExecStdio, KillReport, Result, StdioResult, Until,
};

use super::agent_place::GuestAgent;
use super::agent_start;
use crate::SshUser;
use crate::ssh::call::{Call, CallContext, OPERATION};
use crate::ssh::guest_script::GuestScript;
use crate::ssh::kill::{self, SCRIPT_LIMIT};
use crate::ssh::shell::remote_command::refuse_taken_names;

/// How long an order to a command may wait for it to begin.
const ORDER_LIMIT: Duration = Duration::from_secs(10);

/// One command for the agent of a guest.
pub(crate) struct WarmCall {
    context: Arc<CallContext>,
    guest: Arc<dyn Container>,
    user: SshUser,
    /// With the directory of the transport.
    request: ExecRequest,
    marker: ExecMarker,
    /// The limit of the call, or of the start alone if the command is spawned.
    until: Until,
    /// The agent that the command is given to next, or was given to last.
    agent: GuestAgent,
    was_replaced: bool,
    /// Agents do not serve this command, as was learned since the call began. It never ran.
    has_gone_cold: Arc<AtomicBool>,
    is_bridged: bool,
}

impl WarmCall {
    /// Returns the call if it goes by an agent; `None` if it goes by a channel.
    ///
    /// # Errors
    /// The command certainly never ran: the request is refused, there is no connection, the limit
    /// was over, or an agent was demanded and there is none.
    pub(crate) fn open(
        context: &Arc<CallContext>,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        is_bridged: bool,
        until: &Until,
    ) -> Result<Option<Self>> {
        if context.exec_path == ExecPath::Cold {
            return Ok(None);
        }
        let call = Call::new(context, guest, request, is_bridged)?;
        refuse_taken_names(request)
            .map_err(|refused| call.with_container(Error::from(refused).during(OPERATION)))?;
        let agent = match agent_start::agent(&call, until)? {
            Ok(agent) => agent,
            Err(_) if context.exec_path == ExecPath::Auto => return Ok(None),
            Err(reason) => return Err(call.with_container(refusal(&reason))),
        };
        Ok(Some(Self {
            context: Arc::clone(context),
            guest: Arc::clone(guest),
            user: call.user,
            request: in_workdir(context, request)?,
            marker: call.marker,
            until: until.clone(),
            agent,
            was_replaced: false,
            has_gone_cold: Arc::default(),
            is_bridged,
        }))
    }

    /// Runs the command and captures its output; `None` if no agent took it and it goes by a
    /// channel.
    pub(crate) fn captured(mut self, until: &Until) -> Result<Option<ExecResult>> {
        let (request, marker, name, goes_cold) = self.parts();
        match rt_agent::captured(&mut self, &request, &marker, &name, until) {
            Err(_) if goes_cold() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Runs the command with its streams bridged.
    pub(crate) fn bridged(
        mut self,
        stdio: ExecStdio<'_>,
        orders: Option<&CommandSlot<CommandOrders>>,
        until: &Until,
    ) -> Result<StdioResult> {
        let (request, marker, name, _) = self.parts();
        rt_agent::bridged(&mut self, &request, &marker, stdio, &name, orders, until)
    }

    /// Starts the command, whose streams a thread serves.
    pub(crate) fn background(mut self, stdio: ExecStdio<'static>) -> Result<Box<dyn CommandControl>> {
        let name = self.name().clone();
        let orders = Arc::<CommandSlot<CommandOrders>>::default();
        let call = {
            let orders = Arc::clone(&orders);
            move |until: &Until| {
                self.until = until.clone();
                let result = self.bridged(stdio, Some(&orders), until);
                orders.close();
                result
            }
        };
        let command = BackgroundCommand::start(call).map_err(|error| error.in_container(&name))?;
        let of_resizes = Arc::clone(&orders);
        let command = command.with_resizes(move |size| {
            if let Some(orders) = of_resizes.command("resize a terminal in", &Until::after(ORDER_LIMIT))? {
                orders.resize(size);
            }
            Ok(())
        });
        Ok(Box::new(command.with_signals(move |signal| {
            if let Some(orders) = orders.command("signal a command in", &Until::after(ORDER_LIMIT))? {
                orders.signal_group(signal);
            }
            Ok(())
        })))
    }

    /// Starts the command with these pipes; `None` if no agent took it and it goes by a channel.
    pub(crate) fn spawned(
        self,
        pipes: &CommandPipes<'_>,
        until: &Until,
    ) -> Result<Option<Box<dyn CommandControl>>> {
        let (request, marker, name, goes_cold) = self.parts();
        match rt_agent::spawned(Box::new(self), &request, &marker, pipes, &name, until) {
            Err(_) if goes_cold() => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn name(&self) -> &ContainerName {
        &self.guest.key().name
    }

    /// What a call of the agent needs beside its source, and whether agents have refused the
    /// command, which never ran and may go by a channel.
    fn parts(&self) -> (ExecRequest, ExecMarker, ContainerName, impl Fn() -> bool + use<>) {
        let is_auto = self.context.exec_path == ExecPath::Auto;
        let has_gone_cold = Arc::clone(&self.has_gone_cold);
        let goes_cold = move || is_auto && has_gone_cold.load(Ordering::Relaxed);
        (self.request.clone(), self.marker.clone(), self.name().clone(), goes_cold)
    }

    /// The error of a command that agents have refused, which never ran. From here on it may go by
    /// a channel.
    fn no_agent(&self, reason: &ColdReason) -> Error {
        self.has_gone_cold.store(true, Ordering::Relaxed);
        let error = match self.context.exec_path {
            ExecPath::Auto => {
                let message = format!("no agent took it: {reason}");
                Error::new(ErrorKind::BackendInterrupted, OPERATION, message)
                    .with_hint("send it again")
                    .of_unstarted_command(self.is_bridged)
            }
            _ => refusal(reason),
        };
        error.in_container(self.name())
    }
}

impl AgentSource for WarmCall {
    fn agent(&mut self, refused: Option<AgentError>) -> Result<Agent> {
        let Some(refused) = refused else { return Ok(self.agent.agent.clone()) };
        if std::mem::replace(&mut self.was_replaced, true) {
            // Something in the guest ends them.
            return Err(self.no_agent(&ColdReason::Refused(refused.to_string())));
        }
        self.context.pool.agent_place(self.name(), &self.user).replace(&self.agent);
        let call = Call::new(&self.context, &self.guest, &self.request, self.is_bridged)?;
        match agent_start::agent(&call, &self.until)? {
            Ok(agent) => {
                self.agent = agent;
                Ok(self.agent.agent.clone())
            }
            Err(reason) => Err(self.no_agent(&reason)),
        }
    }

    /// While its connection lives, a guest is waited for: the connection has a limit of its own.
    fn stalled(&mut self, _: Option<u32>) -> Stall {
        if self.agent.agent.is_alive() { Stall::Wait } else { Stall::Replace }
    }

    fn no_room(&mut self) -> Option<Error> {
        // A channel needs room for one process less.
        self.has_gone_cold.store(true, Ordering::Relaxed);
        None
    }

    fn end_orphans(&mut self, _: Option<u32>, _: Duration, _: &mut dyn FnMut()) -> Option<KillReport> {
        if self.agent.session.is_gone() {
            // Its agent ends them. When the container is gone, they are gone.
            return kill::has_stopped(self.guest.as_ref()).then(|| KillReport::gone(0));
        }
        let script =
            GuestScript { pool: &self.context.pool, container: &self.guest, user: &self.user, permit: None };
        match script.run(RemoteKill::argv(&self.marker), &Until::after(SCRIPT_LIMIT)) {
            Ok(said) => Some(RemoteKill::parse(&said).into()),
            Err(why) => Some(KillReport::unknown(format!("nobody could look in the guest: {why}"))),
        }
    }
}

/// The request as an agent takes it, which knows no directory of a transport. A shell that changes
/// to a directory also says so in `PWD`.
fn in_workdir(context: &CallContext, request: &ExecRequest) -> Result<ExecRequest> {
    let Some(workdir) = request.workdir().or(context.workdir.as_ref()) else { return Ok(request.clone()) };
    let builder = ExecRequest::builder(request.argv().words().iter().cloned())
        .envs(request.env())
        .env("PWD", workdir.as_os_str())
        .workdir(workdir.as_path())
        .stdout_limit(request.stdout_limit())
        .stderr_limit(request.stderr_limit());
    match request.terminal() {
        Some(size) => builder.terminal(size).build(),
        None => builder.build(),
    }
}

/// The error of a command that was to go by an agent where there is none.
fn refusal(reason: &ColdReason) -> Error {
    Error::new(ErrorKind::Unsupported, OPERATION, reason.to_string())
        .with_hint("choose ExecPath::Auto, which runs such commands on channels")
}
