//! A command by the agent of its guest, or else on a channel of its own.

use std::sync::Arc;

use rt_process::CommandSlot;
use rt_protocol::{
    BackgroundCommand, CommandControl, CommandStreams, Container, Error, ExecRequest, ExecResult, ExecStdio,
    Result, StdioResult, Until,
};

use super::call::{CallContext, OPERATION};
use super::guest_command::GuestCommand;
use super::signal;
use super::warm::warm_call::WarmCall;

/// Runs a command and captures its output.
pub(super) fn captured(
    context: &Arc<CallContext>,
    guest: &Arc<dyn Container>,
    request: &ExecRequest,
    until: &Until,
) -> Result<ExecResult> {
    if let Some(warm) = WarmCall::open(context, guest, request, false, until)?
        && let Some(result) = warm.captured(until)?
    {
        return Ok(result);
    }
    context.exec(guest, request, until)
}

/// Runs a command with its streams bridged.
pub(super) fn bridged(
    context: &Arc<CallContext>,
    guest: &Arc<dyn Container>,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    until: &Until,
) -> Result<StdioResult> {
    match WarmCall::open(context, guest, request, true, until)? {
        Some(warm) => warm.bridged(stdio, None, until),
        None => context.exec_stdio(guest, request, stdio, None, until),
    }
}

/// Starts a command, which the agent gives its pipes, or whose streams a thread serves.
pub(super) fn spawned(
    context: &Arc<CallContext>,
    guest: &Arc<dyn Container>,
    request: &ExecRequest,
    streams: &mut CommandStreams,
    until: &Until,
) -> Result<Box<dyn CommandControl>> {
    let name = &guest.key().name;
    until
        .check()
        .map_err(|stop| Error::stopped(stop, OPERATION).in_container(name).of_unstarted_command(true))?;
    if let Some(warm) = WarmCall::open(context, guest, request, true, until)? {
        match streams.pipes(request) {
            None => return warm.background(streams.take()),
            Some(pipes) => {
                if let Some(command) = warm.spawned(&pipes, until)? {
                    return Ok(command);
                }
            }
        }
    }
    let (stdio, slot) = (streams.take(), Arc::<CommandSlot<GuestCommand>>::default());
    let call = {
        let (context, guest) = (Arc::clone(context), Arc::clone(guest));
        let (request, slot) = (request.clone(), Arc::clone(&slot));
        move |until: &Until| {
            let result = context.exec_stdio(&guest, &request, stdio, Some(&slot), until);
            slot.close();
            result
        }
    };
    let command = BackgroundCommand::start(call).map_err(|error| error.in_container(name))?;
    let (pool, guest) = (Arc::clone(&context.pool), Arc::clone(guest));
    let resized = Arc::clone(&slot);
    let command = command.with_resizes(move |size| GuestCommand::resize(&resized, size));
    Ok(Box::new(command.with_signals(move |sent| signal::send(&pool, &guest, &slot, sent))))
}
