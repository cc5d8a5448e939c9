//! Commands in containers, captured and bridged: from the request to the result. Their scripted
//! answers are in `script`.

use std::io;

use rt_protocol::{
    Capability, Capture, ContainerName, ContainerState, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio,
    ExitOutcome, Interruption, KillReport, PartialOutput, Result, StdioResult, StreamEnd, Until,
};

use super::pending_operation::{OperationSpec, PendingOperation};
use crate::script::fault::{Leftover, Operation};
use crate::script::reply::{ExecReply, ReplyEnd};
use crate::state::call::ExecCall;
use crate::state::refusal::{no_such_container, not_in_state};
use crate::state::world::{Shared, StdioResponder};
use crate::streams::peer::{PeerEnd, StdioPeer};
use crate::streams::signal_queue::SignalQueue;

const VERB: &str = "exec in";

/// Runs a captured command.
pub(crate) fn exec(
    shared: &Shared,
    name: &ContainerName,
    request: &ExecRequest,
    until: &Until,
) -> Result<ExecResult> {
    let spec = OperationSpec::new(shared, Operation::Exec, VERB)
        .with_container(name)
        .requiring(request.required_capabilities());
    let operation = spec.begin(until)?;
    let (call, serial) = begin(shared, &operation, name, request, false)?;
    let waiter = &operation.waiter;
    let gone = || shared.is_gone(name, serial);
    let captured = |reply: &ExecReply| {
        let mut stdout = Capture::new(request.stdout_limit());
        let mut stderr = Capture::new(request.stderr_limit());
        let cut = operation.faults.cut_after.and_then(|bytes| usize::try_from(bytes).ok());
        let passes = cut.map_or(reply.stdout.len(), |cut| reply.stdout.len().min(cut));
        stdout.push(&reply.stdout[..passes]);
        let passes = cut.map_or(reply.stderr.len(), |cut| reply.stderr.len().min(cut - passes));
        // A terminal is one stream.
        let target = if request.terminal().is_some() { &mut stdout } else { &mut stderr };
        target.push(&reply.stderr[..passes]);
        (stdout, stderr)
    };
    let ended = |stop, leftover: &Leftover, reply: &ExecReply| {
        let (stdout, stderr) = captured(reply);
        let (stdout, stderr) = (stdout.finish(StreamEnd::Stopped), stderr.finish(StreamEnd::Stopped));
        operation.killed(Interruption::Stopped(stop), leftover, PartialOutput::Output { stdout, stderr })
    };

    let reply = if let Some(leftover) = &operation.faults.hang {
        ExecReply { end: ReplyEnd::Hang(leftover.clone()), ..ExecReply::default() }
    } else {
        shared.reply_to(&call).unwrap_or_default()
    };
    let leftover = reply.leftover();
    if let ReplyEnd::Error(kind, message) = &reply.end {
        return Err(operation.error(*kind, message.clone()).of_command(request.argv()));
    }
    waiter.spend(reply.after).map_err(|stop| ended(stop, &leftover, &reply))?;
    let outcome = match &reply.end {
        ReplyEnd::Outcome(outcome) if operation.faults.cut_after.is_none() && !gone() => outcome.clone(),
        ReplyEnd::Hang(_) => {
            waiter.hang(|| gone().then_some(())).map_err(|stop| ended(stop, &leftover, &reply))?;
            ExitOutcome::Lost
        }
        _ => ExitOutcome::Lost,
    };
    let (stdout, stderr) = captured(&reply);
    let end = if outcome == ExitOutcome::Lost { StreamEnd::Stopped } else { reply.output_end };
    Ok(ExecResult::new(outcome, stdout.finish(end), stderr.finish(end), waiter.elapsed()))
}

/// Runs a bridged command.
pub(crate) fn exec_stdio(
    shared: &Shared,
    name: &ContainerName,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    signals: &SignalQueue,
    until: &Until,
) -> Result<StdioResult> {
    let needs = request.required_capabilities().with(Capability::ExecStdio);
    let spec = OperationSpec::new(shared, Operation::ExecStdio, VERB).with_container(name).requiring(needs);
    let operation = spec.begin(until)?;
    let (call, serial) = begin(shared, &operation, name, request, true)?;
    signals.set_terminal(request.terminal());
    let gone = || signals.deadly().is_some() || shared.is_gone(name, serial);
    let play = |peer: &mut StdioPeer<'_>| {
        let responder = shared.stdio_responder(&call);
        if let Some(StdioResponder::Script(script)) = &responder {
            script.signals().for_each(|signal| signals.handle(signal));
        }
        signals.begin();
        if let Some(hang) = &operation.faults.hang {
            return (Play::Ended(peer.hang()), hang.clone());
        }
        let played = match responder {
            Some(StdioResponder::Script(script)) => script.play(peer),
            Some(StdioResponder::Handler(handler)) => handler(&call, peer),
            None => match shared.reply_to(&call) {
                Some(reply) => {
                    let leftover = reply.leftover();
                    return (play_reply(reply, peer), leftover);
                }
                None => drain_stdin(peer),
            },
        };
        (Play::Ended(played), Leftover::default())
    };
    let (played, mut moved) = serve(&operation, stdio, &gone, signals, play)?;
    let outcome = match played {
        None => match signals.deadly() {
            Some(signal) => {
                end_streams(&mut moved);
                ExitOutcome::Signal(signal.to_string())
            }
            None => ExitOutcome::Lost,
        },
        Some(Play::NotStarted(kind, message)) => {
            return Err(operation.error(kind, message).of_command(request.argv()));
        }
        Some(Play::Ended(Ok(outcome))) => outcome,
        Some(Play::Ended(Err(error))) => return Err(failed(&operation, &error, moved)),
    };
    let PartialOutput::Streams { stdin, stdout, stderr } = moved else {
        return Err(operation.error(ErrorKind::InvalidResponse, "a bridged command answers with streams"));
    };
    Ok(StdioResult::new(outcome, stdin, stdout, stderr, operation.waiter.elapsed()))
}

/// Serves the streams of a bridged command without a container: see
/// [`NullRuntime::serve_stdio`](crate::NullRuntime::serve_stdio).
pub(crate) fn serve_stdio<T>(
    shared: &Shared,
    stdio: ExecStdio<'_>,
    until: &Until,
    command: impl FnOnce(&mut StdioPeer<'_>) -> io::Result<T>,
) -> Result<T> {
    let operation = OperationSpec::new(shared, Operation::ExecStdio, VERB).without_faults().begin(until)?;
    let play = |peer: &mut StdioPeer<'_>| (command(peer), Leftover::default());
    match serve(&operation, stdio, &|| false, &SignalQueue::default(), play)? {
        (Some(Ok(answer)), _) => Ok(answer),
        (Some(Err(error)), moved) => Err(failed(&operation, &error, moved)),
        (None, _) => Err(operation.error(ErrorKind::Unreachable, "the call has ended")),
    }
}

/// Plays the command, and returns its outcome and what was transferred; `None` if the command is
/// lost.
fn serve<T>(
    operation: &PendingOperation<'_>,
    stdio: ExecStdio<'_>,
    gone: &dyn Fn() -> bool,
    signals: &SignalQueue,
    play: impl FnOnce(&mut StdioPeer<'_>) -> (T, Leftover),
) -> Result<(Option<T>, PartialOutput)> {
    let mut peer = match StdioPeer::open(stdio, &operation.waiter, gone, signals, operation.faults.cut_after)
    {
        Ok(Some(peer)) => peer,
        Ok(None) => {
            return Err(operation.error(ErrorKind::Unsupported, "a stream is of a kind that came later"));
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(operation.error(ErrorKind::InvalidRequest, error.to_string()));
        }
        Err(error) => return Err(operation.error(ErrorKind::System, "").with_source(error)),
    };
    let (played, leftover) = play(&mut peer);
    match peer.close() {
        (Some(PeerEnd::Interrupted(interruption)), moved) => {
            Err(operation.killed(interruption, &leftover, moved))
        }
        (Some(PeerEnd::Lost), moved) => Ok((None, moved)),
        (None, moved) => Ok((Some(played), moved)),
    }
}

/// A command that a signal has ended leaves its streams as every command does.
fn end_streams(moved: &mut PartialOutput) {
    if let PartialOutput::Streams { stdin, stdout, stderr } = moved {
        for (stream, end) in
            [(stdin, StreamEnd::ReaderGone), (stdout, StreamEnd::Eof), (stderr, StreamEnd::Eof)]
        {
            if stream.end == StreamEnd::Stopped {
                stream.end = end;
            }
        }
    }
}

fn failed(operation: &PendingOperation<'_>, error: &io::Error, moved: PartialOutput) -> Error {
    operation.error(ErrorKind::BackendFailed, error.to_string()).of_ended_command(KillReport::gone(1), moved)
}

/// Runs the checks before every command: the container must run, and faults may delay or refuse the
/// call. Returns the container's serial number too.
fn begin(
    shared: &Shared,
    operation: &PendingOperation<'_>,
    name: &ContainerName,
    request: &ExecRequest,
    bridged: bool,
) -> Result<(ExecCall, u64)> {
    let call = shared.record_exec_call(name, request, bridged);
    operation.check_refusal()?;
    let serial = shared
        .read(|world| match world.containers.get(name) {
            None => Err(no_such_container()),
            Some(record) if record.info.state == ContainerState::Running => Ok(record.serial),
            Some(record) => Err(not_in_state(&record.info.state)),
        })
        .map_err(|refusal| operation.refusal_error(refusal))?;
    let leftover = operation.faults.hang.clone().unwrap_or_default();
    operation
        .waiter
        .spend(operation.faults.latency)
        .map_err(|stop| operation.killed(stop.into(), &leftover, PartialOutput::nothing(bridged)))?;
    Ok((call, serial))
}

enum Play {
    Ended(io::Result<ExitOutcome>),
    NotStarted(ErrorKind, String),
}

/// Plays a captured command's reply to a bridged call. It does not read stdin.
fn play_reply(reply: ExecReply, peer: &mut StdioPeer<'_>) -> Play {
    let mut play = || {
        peer.write_stdout(&reply.stdout)?;
        peer.write_stderr(&reply.stderr)?;
        if reply.output_end == StreamEnd::LeftOpen {
            peer.leave_open();
        }
        peer.pause(reply.after)
    };
    match reply.end {
        ReplyEnd::Error(kind, message) => Play::NotStarted(kind, message),
        ReplyEnd::Outcome(outcome) => Play::Ended(play().map(|()| outcome)),
        ReplyEnd::Hang(_) => Play::Ended(play().and_then(|()| peer.hang())),
    }
}

/// Reads stdin to the end and writes nothing: the default for unscripted commands.
fn drain_stdin(peer: &mut StdioPeer<'_>) -> io::Result<ExitOutcome> {
    // The input of a terminal has no end.
    if peer.terminal().is_none() {
        io::copy(peer, &mut io::sink())?;
    }
    Ok(ExitOutcome::Code(0))
}
