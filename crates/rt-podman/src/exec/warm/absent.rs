//! The warm path of a system that has none: containers run in a virtual machine there.

use std::convert::Infallible;

use rt_protocol::{
    CommandControl, CommandPipes, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, OperationSpan,
    Result, StdioResult, Until, UntilError, User,
};

use super::agent_limits::AgentLimits;
use super::exec_path::{ColdReason, ExecPath, NoAgent};
use crate::cli::engine::Engine;
use crate::exec::target::ExecTarget;
use crate::state::target::Target;

/// No agents.
#[derive(Debug)]
pub(crate) struct AgentPool;

impl AgentPool {
    pub(crate) fn new(_limits: AgentLimits) -> Self {
        Self
    }

    pub(crate) fn agent(
        &self,
        _engine: &Engine,
        _target: &ExecTarget,
        _user: Option<&User>,
        _until: &Until,
    ) -> std::result::Result<Infallible, NoAgent> {
        Err(NoAgent::Cold(ColdReason::NoProgram))
    }

    pub(crate) fn cool_down(&self, _engine: &Engine, _until: &Until) -> std::result::Result<(), UntilError> {
        Ok(())
    }

    pub(crate) fn close(&self, _engine: &Engine) {}
}

/// A call that goes by no agent.
pub(crate) enum WarmCall {}

impl WarmCall {
    pub(crate) fn open(
        container: &Target,
        _request: &ExecRequest,
        _is_bridged: bool,
        _until: &Until,
    ) -> Result<Option<Self>> {
        if container.state().exec_path != ExecPath::Warm {
            return Ok(None);
        }
        let message = ColdReason::NoProgram.to_string();
        Err(Error::new(ErrorKind::Unsupported, "exec in", message).in_container(container.name()))
    }

    pub(crate) fn captured(self, _request: &ExecRequest, _until: &Until) -> Result<Option<ExecResult>> {
        match self {}
    }

    pub(crate) fn bridged(
        self,
        _request: &ExecRequest,
        _stdio: ExecStdio<'_>,
        _orders: Option<&Infallible>,
        _until: &Until,
    ) -> Result<StdioResult> {
        match self {}
    }

    pub(crate) fn background(
        self,
        _request: &ExecRequest,
        _stdio: ExecStdio<'static>,
        _span: &OperationSpan,
    ) -> Result<Box<dyn CommandControl>> {
        match self {}
    }

    pub(crate) fn spawned(
        self,
        _request: &ExecRequest,
        _pipes: &CommandPipes<'_>,
        _until: &Until,
    ) -> Result<Option<Box<dyn CommandControl>>> {
        match self {}
    }
}
