//! A command by an agent that runs while the caller does other things. It needs no thread: the
//! kernel moves its streams, and its supervisor reports its end.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rt_protocol::{
    CommandControl, ContainerName, Error, ErrorKind, ExitOutcome, KILL_GRACE, KillOutcome, KillReport,
    PartialOutput, Result, Signal, StdioResult, StreamEnd, StreamReport, TerminalSize, Until, UntilError,
};

use crate::terminate::{end_orphans, end_tree, exit_outcome, report_of_end};
use crate::{AgentSource, CommandEnd, Descendants, Progress, Supervised};

const OPERATION: &str = "exec in";

/// A command that was started, and the agents of its container.
pub(crate) struct SpawnedCommand {
    agents: Box<dyn AgentSource + Send>,
    command: Supervised,
    container: ContainerName,
    has_stdin: bool,
    start: Instant,
    /// What became of it, once it was ended from here.
    ended: Option<Error>,
}

impl SpawnedCommand {
    pub(crate) fn new(
        agents: Box<dyn AgentSource + Send>,
        command: Supervised,
        container: ContainerName,
        has_stdin: bool,
        start: Instant,
    ) -> Self {
        Self { agents, command, container, has_stdin, start, ended: None }
    }

    /// Ends the command, and returns the error of the call with its report.
    pub(crate) fn end(&mut self, stop: UntilError) -> (Error, KillReport) {
        let begun = Instant::now();
        let agents = self.agents.as_mut();
        end_tree(agents, &mut self.command, &mut wait_for_end);
        let report =
            report_of_end(agents, &mut self.command, &mut wait_for_end).with_elapsed(begun.elapsed());
        let error = Error::stopped(stop, OPERATION)
            .in_container(&self.container)
            .of_ended_command(report.clone(), self.partial());
        self.ended = Some(error.clone());
        (error, report)
    }

    fn streams(&self) -> [StreamReport; 3] {
        let direct = StreamReport::new(0, StreamEnd::Direct);
        let stdin = if self.has_stdin { direct } else { StreamReport::default() };
        [stdin, direct, direct]
    }

    fn partial(&self) -> PartialOutput {
        let [stdin, stdout, stderr] = self.streams();
        PartialOutput::Streams { stdin, stdout, stderr }
    }

    fn result(&self, outcome: ExitOutcome) -> StdioResult {
        let [stdin, stdout, stderr] = self.streams();
        StdioResult::new(outcome, stdin, stdout, stderr, self.start.elapsed())
    }

    /// Builds the result of a command whose end can no longer be learned, and ends what is left of
    /// it.
    fn lost(&mut self) -> Result<StdioResult> {
        let report = end_orphans(self.agents.as_mut(), &mut self.command, KILL_GRACE, &mut wait_for_end);
        match report {
            Some(report) if report.outcome != KillOutcome::Gone => {
                let message = "the supervisor of the command was ended from outside";
                let error = Error::new(ErrorKind::BackendInterrupted, OPERATION, message);
                Err(error.in_container(&self.container).of_ended_command(report, self.partial()))
            }
            _ => Ok(self.result(ExitOutcome::Lost)),
        }
    }
}

fn wait_for_end(limit: &Until, command: &mut Supervised) {
    // The caller looks at its progress.
    let _ = command.wait(limit, Progress::is_settled);
}

impl CommandControl for SpawnedCommand {
    fn try_wait(&mut self) -> Option<Result<StdioResult>> {
        if let Some(error) = &self.ended {
            return Some(Err(error.clone()));
        }
        self.command.advance();
        match self.command.progress().command_end()? {
            CommandEnd::Exited(status) => Some(Ok(self.result(exit_outcome(status)))),
            _ => Some(self.lost()),
        }
    }

    fn wait(&mut self, until: &Until) -> std::result::Result<(), UntilError> {
        if self.ended.is_some() {
            return Ok(());
        }
        self.command.wait(until, |progress| progress.command_end().is_some())
    }

    fn kill(&mut self) -> KillReport {
        self.command.advance();
        let progress = self.command.progress();
        if let (Some(CommandEnd::Exited(_)), None) = (progress.command_end(), &self.ended) {
            return match progress.descendants() {
                Some(Descendants::Gone(_)) => KillReport::gone(0),
                _ => KillReport::unknown("it had exited, and what it left runs on"),
            };
        }
        match self.ended.as_ref().and_then(Error::kill_report) {
            Some(report) => report.clone(),
            None => self.end(UntilError::Cancelled).1,
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.command.advance();
        self.command.signal_group(signal.number());
        Ok(())
    }

    fn resize(&mut self, size: TerminalSize) -> Result<()> {
        self.command.resize(size);
        Ok(())
    }

    fn readiness(&mut self) -> io::Result<OwnedFd> {
        self.command.as_fd().try_clone_to_owned()
    }
}

impl fmt::Debug for SpawnedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnedCommand").field("command", &self.command).finish_non_exhaustive()
    }
}
