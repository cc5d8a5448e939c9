//! The `tracing` span of one operation of a backend.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use tracing::Span;
use tracing::field::{self, Empty};

use crate::{
    Argv, CommandControl, ContainerName, Error, ExecRequest, ExecResult, ExitOutcome, KillOutcome,
    KillReport, PartialOutput, Result, Signal, StdioResult, StreamEnd, StreamReport, TerminalSize, Until,
    UntilError,
};

/// The span of one operation, for backends.
///
/// All operations have a span named `operation` with the target `rt` and the level `INFO`. Its
/// fields, as far as they apply, are:
///
/// - from the beginning: `operation` (as in errors, such as `exec in`), `container`, and `program`
///   (the file name of the command's first word);
/// - `path`: how a command got into its container, `warm` or `cold`;
/// - at the end: `outcome` (`exit code 3`, `killed by signal TERM`, `lost`; `ok` for other
///   operations; or the [kind](crate::ErrorKind) of the error, such as `timed-out`),
///   `elapsed_us` (microseconds), `stdin_bytes`, `stdout_bytes`, `stderr_bytes` (the length of each
///   stream, as far as it arrived; absent if the command held the stream itself), and `kill` (what
///   became of a command that was ended: `never-started`, `gone`, `alive` or `unknown`).
///
/// The end of a command that runs while the caller does other things is when the program learns of
/// it.
///
/// No field has arguments, variables or output. Without a subscriber, a span costs about 0.2 µs.
#[derive(Debug)]
pub struct OperationSpan {
    span: Span,
    begun: Instant,
}

/// What is recorded at the end.
struct Conclusion {
    outcome: String,
    /// The lengths of stdin, stdout and stderr.
    bytes: Option<[Option<u64>; 3]>,
    kill: Option<&'static str>,
}

impl OperationSpan {
    /// Opens the span of an operation without a container.
    pub fn new(operation: &'static str) -> Self {
        Self::open(operation, None, None)
    }

    /// Opens the span of an operation on a container.
    pub fn on(operation: &'static str, container: &ContainerName) -> Self {
        Self::open(operation, Some(container), None)
    }

    /// Opens the span of a command in a container.
    pub fn of_command(operation: &'static str, container: &ContainerName, request: &ExecRequest) -> Self {
        Self::open(operation, Some(container), Some(request.argv()))
    }

    fn open(operation: &'static str, container: Option<&ContainerName>, argv: Option<&Argv>) -> Self {
        let span = tracing::info_span!(
            target: "rt",
            "operation",
            operation,
            container = container.map(field::display),
            program = argv.map(|argv| field::display(file_name(argv.program()))),
            path = Empty,
            outcome = Empty,
            elapsed_us = Empty,
            stdin_bytes = Empty,
            stdout_bytes = Empty,
            stderr_bytes = Empty,
            kill = Empty,
        );
        Self { span, begun: Instant::now() }
    }

    /// Records how the command gets into its container. The last call counts.
    pub fn set_path(&self, path: &'static str) {
        self.span.record("path", path);
    }

    /// Runs the operation inside the span, and closes it.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn run<T>(self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        self.conclude(|_| call(), |_| Conclusion::of("ok"))
    }

    /// Runs an operation that sets its path, and closes the span.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn run_on_path<T>(self, call: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.conclude(call, |_| Conclusion::of("ok"))
    }

    /// Runs an operation that waits for a container, and closes the span.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn wait(self, call: impl FnOnce() -> Result<ExitOutcome>) -> Result<ExitOutcome> {
        self.conclude(|_| call(), |outcome| Conclusion::of(outcome))
    }

    /// Runs a command with captured output inside the span, and closes it.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn captured(self, call: impl FnOnce(&Self) -> Result<ExecResult>) -> Result<ExecResult> {
        self.conclude(call, |result| {
            let bytes = [None, Some(result.stdout.total()), Some(result.stderr.total())];
            Conclusion { bytes: Some(bytes), ..Conclusion::of(&result.outcome) }
        })
    }

    /// Runs a command with bridged streams inside the span, and closes it.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn bridged(self, call: impl FnOnce(&Self) -> Result<StdioResult>) -> Result<StdioResult> {
        let answer = self.span.in_scope(|| call(&self));
        self.close_stdio(&answer);
        answer
    }

    /// Starts a command inside the span, and returns it with the span, which it closes.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn spawned(
        self,
        call: impl FnOnce(&Self) -> Result<Box<dyn CommandControl>>,
    ) -> Result<Box<dyn CommandControl>> {
        match self.span.in_scope(|| call(&self)) {
            Ok(command) => Ok(Box::new(SpannedCommand::new(command, self))),
            Err(error) => {
                self.close_stdio(&Err(error.clone()));
                Err(error)
            }
        }
    }

    /// Returns a call for another thread, whose events belong to the span.
    pub fn wrap<A, T, F: FnOnce(&A) -> T>(&self, call: F) -> impl FnOnce(&A) -> T + use<A, T, F> {
        let span = self.span.clone();
        move |argument| span.in_scope(|| call(argument))
    }

    fn conclude<T>(
        self,
        call: impl FnOnce(&Self) -> Result<T>,
        describe: impl FnOnce(&T) -> Conclusion,
    ) -> Result<T> {
        let answer = self.span.in_scope(|| call(&self));
        self.close(&answer, describe);
        answer
    }

    fn close_stdio(self, answer: &Result<StdioResult>) {
        self.close(answer, |result| {
            let bytes = [result.stdin, result.stdout, result.stderr].map(length);
            Conclusion { bytes: Some(bytes), ..Conclusion::of(&result.outcome) }
        });
    }

    fn close<T>(self, answer: &Result<T>, describe: impl FnOnce(&T) -> Conclusion) {
        if self.span.is_disabled() {
            return;
        }
        let conclusion = answer.as_ref().map_or_else(Conclusion::of_error, describe);
        self.span.record("outcome", conclusion.outcome);
        let elapsed = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.span.record("elapsed_us", elapsed);
        let names = ["stdin_bytes", "stdout_bytes", "stderr_bytes"];
        for (name, bytes) in names.into_iter().zip(conclusion.bytes.into_iter().flatten()) {
            self.span.record(name, bytes);
        }
        self.span.record("kill", conclusion.kill);
    }
}

impl Conclusion {
    fn of(outcome: impl ToString) -> Self {
        Self { outcome: outcome.to_string(), bytes: None, kill: None }
    }

    fn of_error(error: &Error) -> Self {
        let bytes = error.partial().map(|partial| match partial {
            PartialOutput::Output { stdout, stderr } => [None, Some(stdout.total()), Some(stderr.total())],
            PartialOutput::Streams { stdin, stdout, stderr } => [*stdin, *stdout, *stderr].map(length),
        });
        let kill = error.kill_report().map(|report| match report.outcome {
            KillOutcome::NeverStarted => "never-started",
            KillOutcome::Gone => "gone",
            KillOutcome::Alive => "alive",
            KillOutcome::Unknown(_) => "unknown",
        });
        Self { bytes, kill, ..Self::of(error.kind().as_str()) }
    }
}

/// Nobody but the kernel has counted what a command wrote to a pipe that it held itself.
fn length(report: StreamReport) -> Option<u64> {
    (report.end != StreamEnd::Direct).then(|| report.total())
}

/// Directories may contain the names of users and projects.
fn file_name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// A command that runs while the caller does other things. Closes the span when the program learns
/// how the command ended.
#[derive(Debug)]
struct SpannedCommand {
    command: Box<dyn CommandControl>,
    /// `None` once it is closed.
    span: Option<OperationSpan>,
}

impl SpannedCommand {
    fn new(command: Box<dyn CommandControl>, span: OperationSpan) -> Self {
        Self { command, span: Some(span) }
    }
}

impl CommandControl for SpannedCommand {
    fn try_wait(&mut self) -> Option<Result<StdioResult>> {
        let answer = self.command.try_wait()?;
        if let Some(span) = self.span.take() {
            span.close_stdio(&answer);
        }
        Some(answer)
    }

    fn wait(&mut self, until: &Until) -> std::result::Result<(), UntilError> {
        self.command.wait(until)
    }

    fn kill(&mut self) -> KillReport {
        let report = self.command.kill();
        let _ = self.try_wait();
        report
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.command.signal(signal)
    }

    fn resize(&mut self, size: TerminalSize) -> Result<()> {
        self.command.resize(size)
    }

    fn readiness(&mut self) -> io::Result<OwnedFd> {
        self.command.readiness()
    }
}

impl Drop for SpannedCommand {
    fn drop(&mut self) {
        if self.span.is_some() && self.try_wait().is_none() {
            // Nobody is left to hear of survivors but the span.
            let _ = self.kill();
        }
    }
}
