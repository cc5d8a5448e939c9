//! Commands in containers: from the request to the result, captured and bridged. What they answer is scripted elsewhere.

use std::io;

use rt_protocol::{
    Capability, Capture, CapturedOutput, ContainerName, ContainerState, Error, ErrorKind, ExecRequest,
    ExecResult, ExecStdio, ExitOutcome, Partial, Result, StdioResult, StreamEnd, StreamReport, Until,
};

use super::attempt::{Ask, Attempt};
use crate::script::fault::{Operation, Remains};
use crate::script::reply::{ExecReply, ReplyEnd};
use crate::state::call::ExecCall;
use crate::state::refusal::{absent, in_state};
use crate::state::world::{Shared, StdioPart};
use crate::streams::peer::{PeerEnd, StdioPeer};

const VERB: &str = "exec in";

/// A captured command.
pub(crate) fn exec(
    shared: &Shared,
    name: &ContainerName,
    request: &ExecRequest,
    until: &Until,
) -> Result<ExecResult> {
    let ask = Ask::new(shared, Operation::Exec, VERB).about(name).needing(request.demands());
    let attempt = ask.begin(until)?;
    let (call, serial) = begin(shared, &attempt, name, request, false)?;
    let waiter = &attempt.waiter;
    let gone = || shared.has_gone(name, serial);
    let captured = |reply: &ExecReply| {
        let mut stdout = Capture::new(request.stdout_limit());
        let mut stderr = Capture::new(request.stderr_limit());
        let cut = attempt.trouble.cut_after.and_then(|bytes| usize::try_from(bytes).ok());
        let passes = cut.map_or(reply.stdout.len(), |cut| reply.stdout.len().min(cut));
        stdout.push(&reply.stdout[..passes]);
        let passes = cut.map_or(reply.stderr.len(), |cut| reply.stderr.len().min(cut - passes));
        stderr.push(&reply.stderr[..passes]);
        (stdout, stderr)
    };
    let ended = |stop, remains: &Remains, reply: &ExecReply| {
        let (stdout, stderr) = captured(reply);
        let (stdout, stderr) = (stdout.finish(StreamEnd::Stopped), stderr.finish(StreamEnd::Stopped));
        attempt.ended(stop, remains).with_partial(Partial::Output { stdout, stderr })
    };

    let reply = if let Some(remains) = &attempt.trouble.hang {
        ExecReply { end: ReplyEnd::Hang(remains.clone()), ..ExecReply::default() }
    } else {
        shared.reply_to(&call).unwrap_or_default()
    };
    let remains = match &reply.end {
        ReplyEnd::Hang(remains) => remains.clone(),
        _ => Remains::default(),
    };
    if let ReplyEnd::Error(kind, message) = &reply.end {
        return Err(attempt.error(*kind, message.clone()).of_command(request.argv()));
    }
    waiter.spend(reply.after).map_err(|stop| ended(stop, &remains, &reply))?;
    let outcome = match &reply.end {
        ReplyEnd::Outcome(outcome) if attempt.trouble.cut_after.is_none() && !gone() => outcome.clone(),
        ReplyEnd::Hang(_) => {
            waiter.hang(|| gone().then_some(())).map_err(|stop| ended(stop, &remains, &reply))?;
            ExitOutcome::Lost
        }
        _ => ExitOutcome::Lost,
    };
    let (stdout, stderr) = captured(&reply);
    let end = if outcome == ExitOutcome::Lost { StreamEnd::Stopped } else { reply.output_end };
    Ok(ExecResult::new(outcome, stdout.finish(end), stderr.finish(end), waiter.elapsed()))
}

/// A bridged command.
pub(crate) fn exec_stdio(
    shared: &Shared,
    name: &ContainerName,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    until: &Until,
) -> Result<StdioResult> {
    let needs = request.demands().with(Capability::ExecStdio);
    let ask = Ask::new(shared, Operation::ExecStdio, VERB).about(name).needing(needs);
    let attempt = ask.begin(until)?;
    let (call, serial) = begin(shared, &attempt, name, request, true)?;
    let gone = || shared.has_gone(name, serial);
    let mut peer = match StdioPeer::open(stdio, &attempt.waiter, &gone, attempt.trouble.cut_after) {
        Ok(Some(peer)) => peer,
        Ok(None) => {
            return Err(attempt.error(ErrorKind::Unsupported, "a stream is of a kind that came later"));
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(attempt.error(ErrorKind::InvalidRequest, error.to_string()));
        }
        Err(error) => return Err(attempt.error(ErrorKind::System, "").with_source(error)),
    };

    let mut remains = Remains::default();
    let played = if let Some(hang) = &attempt.trouble.hang {
        remains = hang.clone();
        Play::Ended(peer.hang())
    } else {
        match shared.stdio_part(&call) {
            Some(StdioPart::Script(script)) => Play::Ended(script.play(&mut peer)),
            Some(StdioPart::Handler(handler)) => Play::Ended(handler(&call, &mut peer)),
            None => match shared.reply_to(&call) {
                Some(reply) => {
                    if let ReplyEnd::Hang(hang) = &reply.end {
                        remains = hang.clone();
                    }
                    replay(reply, &mut peer)
                }
                None => Play::Ended(swallow(&mut peer)),
            },
        }
    };
    let (end, moved) = peer.close();
    let outcome = match (end, played) {
        (Some(PeerEnd::Stopped(stop)), _) => return Err(attempt.ended(stop, &remains).with_partial(moved)),
        (Some(PeerEnd::SourceFailed(error)), _) => {
            return Err(ended_by(&attempt, ErrorKind::SourceFailed, String::new(), moved).with_source(error));
        }
        (Some(PeerEnd::SinkFailed(which, error)), _) => {
            return Err(ended_by(&attempt, ErrorKind::SinkFailed, which.to_owned(), moved).with_source(error));
        }
        (Some(PeerEnd::Lost), _) => ExitOutcome::Lost,
        (None, Play::NeverRan(kind, message)) => {
            return Err(attempt.error(kind, message).of_command(request.argv()));
        }
        (None, Play::Ended(Ok(outcome))) => outcome,
        (None, Play::Ended(Err(error))) => {
            return Err(ended_by(&attempt, ErrorKind::BackendFailed, error.to_string(), moved));
        }
    };
    let Partial::Streams { stdin, stdout, stderr } = moved else {
        return Err(attempt.error(ErrorKind::BadAnswer, "a bridged command answers with streams"));
    };
    Ok(StdioResult::new(outcome, stdin, stdout, stderr, attempt.waiter.elapsed()))
}

/// What every command goes through before it runs: the container must run, and the engine may be slow or refuse.
/// Answers the serial number of the container too.
fn begin(
    shared: &Shared,
    attempt: &Attempt<'_>,
    name: &ContainerName,
    request: &ExecRequest,
    bridged: bool,
) -> Result<(ExecCall, u64)> {
    let call = shared.record_exec(name, request, bridged);
    attempt.refusal()?;
    let serial = shared
        .look(|world| match world.containers.get(name) {
            None => Err(absent()),
            Some(record) if record.info.state == ContainerState::Running => Ok(record.serial),
            Some(record) => Err(in_state(&record.info.state)),
        })
        .map_err(|refusal| attempt.refused(refusal))?;
    let remains = attempt.trouble.hang.clone().unwrap_or_default();
    attempt
        .waiter
        .spend(attempt.trouble.latency)
        .map_err(|stop| attempt.ended(stop, &remains).with_partial(nothing_yet(bridged)))?;
    Ok((call, serial))
}

enum Play {
    Ended(io::Result<ExitOutcome>),
    NeverRan(ErrorKind, String),
}

/// A command that was scripted for capture alone behaves alike when it is bridged; it does not read its stdin.
fn replay(reply: ExecReply, peer: &mut StdioPeer<'_>) -> Play {
    let mut play = || {
        peer.write_stdout(&reply.stdout)?;
        peer.write_stderr(&reply.stderr)?;
        if reply.output_end == StreamEnd::LeftOpen {
            peer.leave_open();
        }
        peer.pause(reply.after)
    };
    match reply.end {
        ReplyEnd::Error(kind, message) => Play::NeverRan(kind, message),
        ReplyEnd::Outcome(outcome) => Play::Ended(play().map(|()| outcome)),
        ReplyEnd::Hang(_) => Play::Ended(play().and_then(|()| peer.hang())),
    }
}

/// What nobody scripted reads its stdin to the end, and says nothing.
fn swallow(peer: &mut StdioPeer<'_>) -> io::Result<ExitOutcome> {
    io::copy(peer, &mut io::sink())?;
    Ok(ExitOutcome::Code(0))
}

fn ended_by(attempt: &Attempt<'_>, kind: ErrorKind, message: String, moved: Partial) -> Error {
    attempt.error(kind, message).with_kill_report(Remains::default().report()).with_partial(moved)
}

fn nothing_yet(bridged: bool) -> Partial {
    if bridged {
        let report = StreamReport::new(0, StreamEnd::Stopped);
        Partial::Streams { stdin: report, stdout: report, stderr: report }
    } else {
        let none = CapturedOutput::default().with_end(StreamEnd::Stopped);
        Partial::Output { stdout: none.clone(), stderr: none }
    }
}
