//! A whole command by an agent: its streams, its limit, and what comes of it in the words of the contract.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rt_process::{Bridge, ExitStatus, Output, PeerPipes, Streams, with_bridge};
use rt_protocol::{
    CapturedOutput, ContainerName, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome,
    Interruption, KILL_GRACE, KillOutcome, KillReport, PartialOutput, Result, StdioResult, StreamEnd,
    StreamReport, Until,
};
use rustix::io::Errno;

use crate::{Agent, AgentError, CommandEnd, Descendants, EncodedRequest, Stage, StartFailure, Supervised};

const OPERATION: &str = "exec in";

/// After this long without a word of the supervisor something is in its way.
const STALL: Duration = Duration::from_millis(150);

/// How long the supervisor may take, after the grace period, to say what became of its command.
const END_WAIT: Duration = Duration::from_millis(4500);

/// What the pipes of bridged output are to hold, in bytes.
const BRIDGED_PIPE: usize = 256 << 10;

/// How many agents are tried for one command.
const MOST_AGENTS: usize = 3;

/// Where the agents of one container come from.
pub trait AgentSource {
    /// An agent for the next attempt. `refused` is why the one before did not take the command, which certainly never ran.
    ///
    /// # Errors
    /// There is none; the call answers this error.
    fn agent(&mut self, refused: Option<AgentError>) -> Result<Agent>;

    /// Called when the supervisor of a command has said nothing for 150 ms: the container may be paused.
    ///
    /// # Errors
    /// The command is given up, and unless it has begun meanwhile, the call answers this error.
    fn stalled(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs a command and captures its output.
///
/// # Errors
/// Those of [`Container::exec`](rt_protocol::Container::exec), and what `agents` answers.
pub fn captured(
    agents: &mut dyn AgentSource,
    request: &ExecRequest,
    container: &ContainerName,
    until: &Until,
) -> Result<ExecResult> {
    let streams = Streams::captured(request.stdout_limit(), request.stderr_limit());
    let call = Call { request, container, is_bridged: false };
    let finished = call.run(agents, streams, until)?;
    let [stdout, stderr] = finished.captures;
    Ok(ExecResult::new(finished.outcome, stdout, stderr, finished.elapsed))
}

/// Runs a command with its streams bridged.
///
/// # Errors
/// Those of [`Container::exec_stdio`](rt_protocol::Container::exec_stdio), and what `agents` answers.
pub fn bridged(
    agents: &mut dyn AgentSource,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    container: &ContainerName,
    until: &Until,
) -> Result<StdioResult> {
    request.check_bridged().map_err(|error| error.in_container(container))?;
    let streams = Streams {
        stdin: stdio.stdin,
        stdout: Output::Bridge(stdio.stdout),
        stderr: Output::Bridge(stdio.stderr),
    };
    let call = Call { request, container, is_bridged: true };
    let finished = call.run(agents, streams, until)?;
    let [input, output, errors] = finished.streams;
    Ok(StdioResult::new(finished.outcome, input, output, errors, finished.elapsed))
}

/// One command on its way.
struct Call<'a> {
    request: &'a ExecRequest,
    container: &'a ContainerName,
    is_bridged: bool,
}

/// What is left of it.
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
        let Some(encoded) = EncodedRequest::new(self.request, has_stdin) else { return Err(self.too_long()) };
        with_bridge(streams, |bridge, far| {
            if self.is_bridged {
                bridge.grow_output_pipes(BRIDGED_PIPE);
            }
            let mut command = self.begin(agents, &encoded, &far, until)?;
            // The command's alone: its outputs end when it closes them.
            drop(far);
            match bridge.drive_with(until, &mut command) {
                Ok(()) => self.conclude(&command, bridge, start),
                Err(interruption) => self.end(command, bridge, interruption, start),
            }
        })
        .map_err(|error| self.with_container(setup_error(&error)))?
    }

    /// Hands it to an agent; one that is gone, or older than the container's users, is replaced. Returns when it is about
    /// to start, or has failed to.
    fn begin(
        &self,
        agents: &mut dyn AgentSource,
        encoded: &EncodedRequest,
        far: &PeerPipes,
        until: &Until,
    ) -> Result<Supervised> {
        let stdout = far.stdout.as_fd();
        let stdin = far.stdin.as_ref().map_or(stdout, AsFd::as_fd);
        let mut refused = None;
        for _ in 0..MOST_AGENTS {
            let agent = agents.agent(refused.take())?;
            let mut command = match agent.begin(encoded, [stdin, stdout, far.stderr.as_fd()], until) {
                Ok(command) => command,
                Err(AgentError::Stopped(stop)) => {
                    return Err(self.not_started(Error::stopped(stop, OPERATION)));
                }
                Err(AgentError::System(error)) => {
                    let error = Error::new(ErrorKind::System, OPERATION, error.to_string())
                        .with_hint("see whether this process has run out of descriptors");
                    return Err(self.with_container(error));
                }
                Err(error) => {
                    refused = Some(error);
                    continue;
                }
            };
            self.wait_for_start(agents, &mut command, until)?;
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

    /// Waits for the first word of the supervisor. A command that is given up before never starts.
    fn wait_for_start(
        &self,
        agents: &mut dyn AgentSource,
        command: &mut Supervised,
        until: &Until,
    ) -> Result<()> {
        let has_answer = |progress: &crate::Progress| progress.is_begun() || progress.command_end().is_some();
        let soon = match until.remaining() {
            Some(left) if left <= STALL => until.clone(),
            _ => until.clone().or_after(STALL),
        };
        let error = match command.wait(&soon, has_answer) {
            Ok(()) => return Ok(()),
            Err(_) => match agents.stalled() {
                Err(error) => error,
                Ok(()) => match command.wait(until, has_answer) {
                    Ok(()) => return Ok(()),
                    Err(stop) => Error::stopped(stop, OPERATION),
                },
            },
        };
        command.withdraw();
        if command.progress().is_begun() { Ok(()) } else { Err(self.not_started(error)) }
    }

    /// The caller's answer to a command that has ended, or whose end cannot be heard any more.
    fn conclude(&self, command: &Supervised, bridge: &mut Bridge<'_>, start: Instant) -> Result<Finished> {
        let outcome = match command.progress().command_end() {
            Some(CommandEnd::Exited(status)) => exit_outcome(status),
            Some(CommandEnd::Failed(failure)) => return Err(self.start_error(&failure)),
            Some(CommandEnd::NeverStarted | CommandEnd::Lost) | None => ExitOutcome::Lost,
        };
        let is_lost = outcome == ExitOutcome::Lost;
        Ok(finish(bridge, outcome, is_lost, start))
    }

    /// Ends the command with all its descendants, and makes the error of it.
    fn end(
        &self,
        mut command: Supervised,
        bridge: &mut Bridge<'_>,
        interruption: Interruption,
        start: Instant,
    ) -> Result<Finished> {
        let begun = Instant::now();
        command.end(KILL_GRACE);
        let limit = Until::after(KILL_GRACE + END_WAIT);
        // Streams of the caller that fail meanwhile are not reported: the command is ended anyway.
        while let Err(Interruption::SourceFailed(_) | Interruption::SinkFailed(..)) =
            bridge.drive_with(&limit, &mut command)
        {}
        let progress = command.progress();
        let (outcome, killed) = match progress.descendants() {
            Some(Descendants::Gone(count)) => (KillOutcome::Gone, count),
            // It was quicker than the limit.
            Some(Descendants::RunOn) if matches!(interruption, Interruption::Stopped(_)) => {
                return self.conclude(&command, bridge, start);
            }
            Some(Descendants::RunOn) => (unknown("it had exited, and what it left runs on"), 0),
            Some(Descendants::Left(count)) => (unknown(&format!("{count} of its processes survive KILL")), 0),
            None if matches!(progress.command_end(), Some(CommandEnd::Failed(_))) => {
                return self.conclude(&command, bridge, start);
            }
            None if progress.has_ended() => (unknown("its supervisor was ended by somebody else"), 0),
            None => (unknown("its supervisor does not answer; it ends the command when it can"), 0),
        };
        let report = KillReport::new(outcome, killed as usize, Vec::new(), begun.elapsed());
        let finished = finish(bridge, ExitOutcome::Lost, true, start);
        let error = self.with_container(interruption.into_error(OPERATION));
        Err(error.of_ended_command(report, self.partial(finished)))
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

    /// A call that was stopped before its command could begin says so.
    fn not_started(&self, error: Error) -> Error {
        let error = self.with_container(error);
        if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) {
            return error;
        }
        error.of_unstarted_command(self.is_bridged)
    }

    /// The error of a command that did not start.
    fn start_error(&self, failure: &StartFailure) -> Error {
        let text = failure.error.to_string();
        let error = |kind| Error::new(kind, OPERATION, text.clone());
        let error = match (failure.stage, Errno::from_io_error(&failure.error)) {
            (Stage::Workdir, _) => error(ErrorKind::BadWorkdir).with_hint("create the directory first"),
            (Stage::Exec, Some(Errno::NOENT | Errno::NOTDIR)) => {
                error(ErrorKind::CommandNotFound).with_hint("look at the PATH of the container")
            }
            (Stage::Exec, Some(Errno::TOOBIG)) => return self.too_long(),
            (Stage::Exec, Some(Errno::NOMEM | Errno::AGAIN | Errno::MFILE | Errno::NFILE))
            | (Stage::Fork | Stage::Streams, _) => Error::new(
                ErrorKind::BackendFailed,
                OPERATION,
                format!("the container has no room for another process: {text}"),
            )
            .with_hint("see whether its limits on processes and memory are reached"),
            (Stage::Interpreter, _) => {
                Error::new(ErrorKind::CommandNotExecutable, OPERATION, "its interpreter is missing")
                    .with_hint("see its first line, or whether it is built for this image's libc")
            }
            _ => error(ErrorKind::CommandNotExecutable).with_hint("see its permissions and its format"),
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

/// Closes the streams, and says what became of them. Of a command that was ended or lost, none came to its own end.
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

fn unknown(why: &str) -> KillOutcome {
    KillOutcome::Unknown(why.to_owned())
}

fn exit_outcome(status: ExitStatus) -> ExitOutcome {
    match status {
        ExitStatus::Code(code) => ExitOutcome::Code(code),
        ExitStatus::Signal(signal) => ExitOutcome::Signal(signal_name(signal)),
    }
}

/// The name of a signal, as signal(7) has it, without `SIG`.
fn signal_name(number: i32) -> String {
    const FIRST_REAL_TIME: i32 = 34;
    let known = usize::try_from(number - 1).ok().and_then(|place| SIGNALS.get(place));
    match (known, number - FIRST_REAL_TIME) {
        (Some(name), _) => (*name).to_owned(),
        (None, 0) => "RTMIN".to_owned(),
        (None, more) => format!("RTMIN{more:+}"),
    }
}

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

fn setup_error(error: &rt_process::ProcessError) -> Error {
    match error {
        rt_process::ProcessError::UnsupportedFd { .. } => {
            Error::new(ErrorKind::InvalidRequest, OPERATION, error.to_string())
                .with_hint("give a stream socket or a pipe")
        }
        _ => Error::new(ErrorKind::System, OPERATION, error.to_string())
            .with_hint("see whether this process has run out of descriptors, threads or processes"),
    }
}
