//! Runs a whole command by an agent: its streams, its limit, and its result in the contract's
//! terms.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rt_process::{Bridge, CommandSlot, ExecMarker, Streams, with_bridge};
use rt_protocol::{
    CapturedOutput, CommandControl, CommandPipes, ContainerName, Error, ErrorKind, ExecRequest, ExecResult,
    ExecStdio, ExitOutcome, Interruption, KILL_GRACE, KillOutcome, OutputLimit, PartialOutput, Result,
    Source, StdioResult, StreamEnd, StreamReport, Until,
};
use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;

use crate::spawned_command::SpawnedCommand;
use crate::terminate::{end_orphans, end_tree, exit_outcome, report_of_end};
use crate::wire_format::Act;
use crate::{
    AgentError, AgentSource, CommandEnd, CommandOrders, Descendants, EncodedRequest, FileRequest, Progress,
    Stage, Stall, StartFailure, Supervised,
};

const OPERATION: &str = "exec in";

/// After this time without a report from the supervisor, `stalled` is called.
const STALL: Duration = Duration::from_millis(150);

/// After this time more, `stalled` is called again.
const NEXT_STALL: Duration = Duration::from_secs(1);

/// The capacity of the pipes of bridged output, in bytes.
const BRIDGED_PIPE: usize = 256 << 10;

/// How many agents are tried for one command.
const MOST_AGENTS: usize = 3;

/// Runs a command and captures its output. Its processes carry `marker` in their environment.
///
/// # Errors
/// The errors of [`Container::exec`](rt_protocol::Container::exec) and of `agents`.
pub fn captured(
    agents: &mut dyn AgentSource,
    request: &ExecRequest,
    marker: &ExecMarker,
    container: &ContainerName,
    until: &Until,
) -> Result<ExecResult> {
    let streams = Streams::captured(request.stdout_limit(), request.stderr_limit());
    let call = Call { act: Act::Run, request, marker, container, is_bridged: false, orders: None };
    let finished = call.run(agents, streams, until)?;
    let [stdout, stderr] = finished.captures;
    Ok(ExecResult::new(finished.outcome, stdout, stderr, finished.elapsed))
}

/// Runs a command with its streams bridged. Its processes carry `marker` in their environment.
/// Other threads give it orders by the slot `orders`.
///
/// # Errors
/// The errors of [`Container::exec_stdio`](rt_protocol::Container::exec_stdio) and of `agents`.
pub fn bridged(
    agents: &mut dyn AgentSource,
    request: &ExecRequest,
    marker: &ExecMarker,
    stdio: ExecStdio<'_>,
    container: &ContainerName,
    orders: Option<&CommandSlot<CommandOrders>>,
    until: &Until,
) -> Result<StdioResult> {
    stdio.bridge(request, |stdio| {
        let call = Call { act: Act::Run, request, marker, container, is_bridged: true, orders };
        let finished = call.run(agents, Streams::bridged(stdio), until)?;
        let [input, output, errors] = finished.streams;
        Ok(StdioResult::new(finished.outcome, input, output, errors, finished.elapsed))
    })
}

/// Does an operation on files and returns the bytes of its answer, which `request` decodes. The
/// agents must be those of [`FILE_USER`](crate::FILE_USER). Its process is ended as a command is.
///
/// # Errors
/// The errors of the operation in [`Container`](rt_protocol::Container), and of `agents`.
pub fn file(
    agents: &mut dyn AgentSource,
    request: &FileRequest<'_>,
    marker: &ExecMarker,
    container: &ContainerName,
    until: &Until,
) -> Result<Vec<u8>> {
    let streams = Streams {
        stdin: request.input.map_or_else(Source::empty, Source::bytes),
        ..Streams::captured(request.limit, OutputLimit::bytes(0))
    };
    let (act, command) = (request.act, &request.request);
    let call = Call { act, request: command, marker, container, is_bridged: true, orders: None };
    let finished = call.run(agents, streams, until).map_err(|error| error.during(request.operation))?;
    let [output, _] = finished.captures;
    let error = match finished.outcome {
        ExitOutcome::Code(0) if output.is_truncated() => request.unreadable(),
        ExitOutcome::Code(0) => return Ok(output.into_bytes()),
        ExitOutcome::Code(code) => request.error(u8::try_from(code).unwrap_or(u8::MAX), output.head()),
        outcome => {
            let message = format!("the operation was ended from outside: {outcome}");
            Error::new(ErrorKind::BackendInterrupted, request.operation, message)
        }
    };
    Err(error.in_container(container))
}

/// Starts a command that holds these pipes itself, and returns when it has started. Its processes
/// carry `marker` in their environment. The request has no output limit.
///
/// # Errors
/// The errors of [`Container::spawn`](rt_protocol::Container::spawn) and of `agents`.
pub fn spawned(
    mut agents: Box<dyn AgentSource + Send>,
    request: &ExecRequest,
    marker: &ExecMarker,
    pipes: &CommandPipes<'_>,
    container: &ContainerName,
    until: &Until,
) -> Result<Box<dyn CommandControl>> {
    let call = Call { act: Act::Run, request, marker, container, is_bridged: true, orders: None };
    let start = Instant::now();
    until.check().map_err(|stop| call.not_started(Error::stopped(stop, OPERATION)))?;
    let nothing = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| call.with_container(Error::out_of_resources(OPERATION, error.to_string())))?;
    let encoded =
        EncodedRequest::new(request, marker, pipes.stdin.is_some()).ok_or_else(|| call.too_long())?;
    for pipe in [pipes.stdout, pipes.stderr].into_iter().flatten() {
        // A smaller pipe works too.
        let _ = fcntl_setpipe_size(pipe, BRIDGED_PIPE);
    }
    let streams = [pipes.stdin, pipes.stdout, pipes.stderr].map(|pipe| pipe.unwrap_or(nothing.as_fd()));
    let mut command = call.begin(agents.as_mut(), &encoded, streams, until)?;
    let is_known = |progress: &Progress| progress.pid().is_some() || progress.command_end().is_some();
    let waited = command.wait(until, is_known);
    if let Some(CommandEnd::Failed(failure)) = command.progress().command_end() {
        return Err(call.start_error(agents.as_mut(), &failure));
    }
    let has_stdin = pipes.stdin.is_some();
    let mut spawned = SpawnedCommand::new(agents, command, container.clone(), has_stdin, start);
    match waited {
        Ok(()) => Ok(Box::new(spawned)),
        Err(stop) => Err(spawned.end(stop).0),
    }
}

/// A command being started or running.
struct Call<'a> {
    act: Act,
    request: &'a ExecRequest,
    marker: &'a ExecMarker,
    container: &'a ContainerName,
    is_bridged: bool,
    orders: Option<&'a CommandSlot<CommandOrders>>,
}

/// The result of a command.
struct Finished {
    outcome: ExitOutcome,
    streams: [StreamReport; 3],
    captures: [CapturedOutput; 2],
    elapsed: Duration,
}

impl Call<'_> {
    fn run(&self, agents: &mut dyn AgentSource, streams: Streams<'_>, until: &Until) -> Result<Finished> {
        let start = Instant::now();
        until.check().map_err(|stop| self.not_started(Error::stopped(stop, OPERATION)))?;
        let has_stdin = !streams.stdin.is_empty();
        let encoded = EncodedRequest::of_act(self.act, self.request, self.marker, has_stdin)
            .ok_or_else(|| self.too_long())?;
        with_bridge(streams, |bridge, far| {
            if self.is_bridged {
                bridge.grow_output_pipes(BRIDGED_PIPE);
            }
            let stdout = far.stdout.as_fd();
            let stdin = far.stdin.as_ref().map_or(stdout, AsFd::as_fd);
            let mut command = self.begin(agents, &encoded, [stdin, stdout, far.stderr.as_fd()], until)?;
            // Only the command may hold them, so that its outputs end when it closes them.
            drop(far);
            if let Some(orders) = self.orders {
                orders.start(command.orders(bridge.waker()));
            }
            match bridge.drive_with(until, &mut command) {
                Ok(()) => self.conclude(agents, command, bridge, start),
                Err(interruption) => self.end(agents, command, bridge, interruption, start),
            }
        })
        .map_err(|error| self.with_container(error.of_streams(OPERATION)))?
    }

    /// Hands the command to an agent. An agent that is gone, or older than the container's users,
    /// is replaced. Returns when the command is about to start, or has failed to start.
    fn begin(
        &self,
        agents: &mut dyn AgentSource,
        encoded: &EncodedRequest,
        streams: [BorrowedFd<'_>; 3],
        until: &Until,
    ) -> Result<Supervised> {
        let mut refused = None;
        for _ in 0..MOST_AGENTS {
            let agent = agents.agent(refused.take())?;
            let mut command = match agent.begin(encoded, streams, until) {
                Ok(command) => command,
                Err(AgentError::Stopped(stop)) => {
                    return Err(self.not_started(Error::stopped(stop, OPERATION)));
                }
                Err(AgentError::System(error)) => {
                    return Err(self.with_container(Error::out_of_resources(OPERATION, error.to_string())));
                }
                Err(error) => {
                    refused = Some(error);
                    continue;
                }
            };
            if !self.wait_for_start(agents, &mut command, until)? {
                refused = Some(AgentError::Stalled);
                continue;
            }
            match command.progress().command_end() {
                Some(CommandEnd::NeverStarted) => refused = Some(AgentError::Gone),
                Some(CommandEnd::Failed(StartFailure { stage: Stage::Outdated, .. })) => {
                    refused = Some(AgentError::Outdated);
                }
                Some(CommandEnd::Failed(StartFailure {
                    stage: Stage::Request | Stage::Unsupported, ..
                })) => {
                    refused = Some(AgentError::Incompatible);
                }
                _ => return Ok(command),
            }
        }
        let reason = refused.map_or_else(String::new, |error| error.to_string());
        let error =
            Error::new(ErrorKind::BackendInterrupted, OPERATION, format!("no agent took it: {reason}"));
        Err(self
            .with_container(error)
            .with_hint("look after the container, and send it again")
            .of_unstarted_command(self.is_bridged))
    }

    /// Waits for the first report of the supervisor. A command that is given up before that never
    /// starts. Returns false if it was withdrawn and is to be given to another agent.
    fn wait_for_start(
        &self,
        agents: &mut dyn AgentSource,
        command: &mut Supervised,
        until: &Until,
    ) -> Result<bool> {
        let mut patience = STALL;
        let given_up = loop {
            if command.wait(&until.clone().or_after(patience), Progress::has_answer).is_ok() {
                return Ok(true);
            }
            if let Err(stop) = until.check() {
                break Some(Error::stopped(stop, OPERATION));
            }
            match agents.stalled(None) {
                Stall::Wait => patience = NEXT_STALL,
                Stall::Replace => break None,
                Stall::GiveUp(error) => break Some(error),
            }
        };
        command.withdraw();
        match given_up {
            _ if command.progress().is_begun() => Ok(true),
            None => Ok(false),
            Some(error) => Err(self.not_started(error)),
        }
    }

    /// Builds the result of a command that has ended, or whose end can no longer be learned.
    fn conclude(
        &self,
        agents: &mut dyn AgentSource,
        mut command: Supervised,
        bridge: &mut Bridge<'_>,
        start: Instant,
    ) -> Result<Finished> {
        match command.progress().command_end() {
            Some(CommandEnd::Exited(status)) => {
                return Ok(finish(bridge, exit_outcome(status), false, start));
            }
            Some(CommandEnd::Failed(failure)) => {
                return Err(self.start_error(agents, &failure));
            }
            Some(CommandEnd::NeverStarted | CommandEnd::Lost) | None => {}
        }
        let report = end_orphans(agents, &mut command, KILL_GRACE, &mut bridged_wait(bridge));
        let finished = finish(bridge, ExitOutcome::Lost, true, start);
        match report {
            Some(report) if report.outcome != KillOutcome::Gone => {
                let message = "the supervisor of the command was ended from outside";
                let error = Error::new(ErrorKind::BackendInterrupted, OPERATION, message);
                Err(self.with_container(error).of_ended_command(report, self.partial(finished)))
            }
            _ => Ok(finished),
        }
    }

    /// Ends the command with all its descendants, and builds the error.
    fn end(
        &self,
        agents: &mut dyn AgentSource,
        mut command: Supervised,
        bridge: &mut Bridge<'_>,
        interruption: Interruption,
        start: Instant,
    ) -> Result<Finished> {
        let begun = Instant::now();
        end_tree(agents, &mut command, &mut bridged_wait(bridge));
        let progress = command.progress();
        let has_failed = matches!(progress.command_end(), Some(CommandEnd::Failed(_)));
        let is_late = match progress.descendants() {
            // The command exited before the limit took effect.
            Some(Descendants::RunOn) => matches!(interruption, Interruption::Stopped(_)),
            Some(_) => false,
            None => has_failed,
        };
        if is_late {
            return self.conclude(agents, command, bridge, start);
        }
        let report = report_of_end(agents, &mut command, &mut bridged_wait(bridge));
        let finished = finish(bridge, ExitOutcome::Lost, true, start);
        let error = self.with_container(interruption.into_error(OPERATION));
        Err(error.of_ended_command(report.with_elapsed(begun.elapsed()), self.partial(finished)))
    }

    fn partial(&self, finished: Finished) -> PartialOutput {
        if self.is_bridged {
            let [stdin, stdout, stderr] = finished.streams;
            PartialOutput::Streams { stdin, stdout, stderr }
        } else {
            let [stdout, stderr] = finished.captures;
            PartialOutput::Output { stdout, stderr }
        }
    }

    /// Marks an error of a call that was stopped before its command could begin.
    fn not_started(&self, error: Error) -> Error {
        let error = self.with_container(error);
        if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) {
            return error;
        }
        error.of_unstarted_command(self.is_bridged)
    }

    /// Builds the error of a command that did not start.
    fn start_error(&self, agents: &mut dyn AgentSource, failure: &StartFailure) -> Error {
        if failure.stage == Stage::Fork
            && let Some(error) = agents.no_room()
        {
            return error;
        }
        let text = failure.error.to_string();
        let error = |kind| Error::new(kind, OPERATION, text.clone());
        let error = match (failure.stage, Errno::from_io_error(&failure.error)) {
            (Stage::Workdir, _) => {
                let workdir =
                    self.request.workdir().map(|workdir| format!("`{}`: ", workdir.as_path().display()));
                let text = workdir.unwrap_or_else(|| String::from("that of the container: ")) + &text;
                Error::new(ErrorKind::BadWorkdir, OPERATION, text)
                    .with_hint("create the directory in the container, or name another")
            }
            (Stage::Exec, Some(Errno::NOENT | Errno::NOTDIR)) => {
                error(ErrorKind::CommandNotFound).with_hint("check the command's path and the image")
            }
            (Stage::Exec, Some(Errno::ACCESS)) => {
                error(ErrorKind::CommandNotExecutable).with_hint("it must be a file with execute permission")
            }
            (Stage::Exec, Some(Errno::TOOBIG)) => return self.too_long(),
            (Stage::Exec, Some(Errno::NOMEM | Errno::AGAIN | Errno::MFILE | Errno::NFILE))
            | (Stage::Fork | Stage::Streams, _) => Error::new(
                ErrorKind::BackendFailed,
                OPERATION,
                format!("the container has no room for another process: {text}"),
            )
            .with_hint("see whether its limits on processes and memory are reached"),
            (Stage::Terminal, _) => Error::new(
                ErrorKind::BackendFailed,
                OPERATION,
                format!("the container gives no terminal: {text}"),
            )
            .with_hint("see whether it has /dev/ptmx and /dev/pts, and how many terminals are open")
            .of_unstarted_command(self.is_bridged),
            (Stage::Interpreter, _) => {
                Error::new(ErrorKind::CommandNotExecutable, OPERATION, "its interpreter is missing")
                    .with_hint("see its first line, or whether it is built for this image's libc")
            }
            _ => error(ErrorKind::CommandNotExecutable)
                .with_hint("see its format, and for which processor it is"),
        };
        self.with_container(error.of_command(self.request.argv()))
    }

    fn too_long(&self) -> Error {
        let error = Error::new(
            ErrorKind::InvalidRequest,
            OPERATION,
            "the arguments and the environment are too long",
        );
        self.with_container(error.with_hint("pass long values through stdin or a file"))
    }

    fn with_container(&self, error: Error) -> Error {
        error.in_container(self.container)
    }
}

fn bridged_wait<'b>(bridge: &'b mut Bridge<'_>) -> impl FnMut(&Until, &mut Supervised) + 'b {
    // Failures of the caller's streams are not reported, because the command is ended anyway.
    |limit, command| {
        while let Err(Interruption::SourceFailed(_) | Interruption::SinkFailed(..)) =
            bridge.drive_with(limit, command)
        {}
    }
}

/// Closes the streams and reports how they ended. `is_cut`: the command was killed or lost, so no
/// stream came to its own end.
fn finish(bridge: &mut Bridge<'_>, outcome: ExitOutcome, is_cut: bool, start: Instant) -> Finished {
    let report = bridge.finish();
    let mut streams = [report.stdin, report.stdout, report.stderr];
    let mut captures = bridge.take_captures();
    if is_cut {
        for stream in streams[1..].iter_mut().filter(|stream| stream.end == StreamEnd::Eof) {
            stream.end = StreamEnd::Stopped;
        }
        captures = captures.map(|capture| match capture.end() {
            StreamEnd::Eof => capture.with_end(StreamEnd::Stopped),
            _ => capture,
        });
    }
    Finished { outcome, streams, captures, elapsed: start.elapsed() }
}
