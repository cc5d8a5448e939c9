//! The results of commands, with captured output and with bridged streams.

use std::time::Duration;

use super::stderr_tail::stderr_tail;
use crate::{CapturedOutput, ExitOutcome, PartialOutput, Result, StreamReport};

/// The result of a command with captured output.
///
/// Equality ignores `elapsed`, so that tests can compare whole results.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "a non-zero exit code is no error by itself; `exit_ok()` makes it one"]
pub struct ExecResult {
    /// How the command ended.
    pub outcome: ExitOutcome,
    /// Its stdout.
    pub stdout: CapturedOutput,
    /// Its stderr.
    pub stderr: CapturedOutput,
    /// The duration of the call.
    pub elapsed: Duration,
}

impl ExecResult {
    /// A result; for backends and tests.
    pub fn new(
        outcome: ExitOutcome,
        stdout: CapturedOutput,
        stderr: CapturedOutput,
        elapsed: Duration,
    ) -> Self {
        Self { outcome, stdout, stderr, elapsed }
    }

    /// Whether the exit code is 0.
    pub fn success(&self) -> bool {
        self.outcome.success()
    }

    /// Returns the output if the exit code is 0, and otherwise an error, as
    /// [`std::process::ExitStatus::exit_ok`] does.
    ///
    /// The error has the [outcome](crate::Error::outcome) and [all output](crate::Error::partial).
    /// Its message has the end of stderr: at most the last 1,000 bytes, on one line. Colours are
    /// removed; unprintable characters, also newlines, are escaped. If a command prints its
    /// secrets, they are in its output, and so in this message.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rt_null::{ExecReply, NullRuntime};
    /// use rt_protocol::{ContainerRuntimeExt, ContainerState, ErrorKind};
    ///
    /// let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
    /// runtime.set_state("job", ContainerState::Running)?;
    /// runtime.set_exec("job", ["date"], ExecReply::stdout("today\n"))?;
    /// runtime.set_exec("job", ["make"], ExecReply::code(2).with_stderr("No targets.\n"))?;
    ///
    /// assert_eq!(runtime.exec_in("job", ["date"], limit)?.exit_ok()?.stdout, "today\n");
    ///
    /// let error = runtime.exec_in("job", ["make"], limit)?.exit_ok().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::CommandFailed);
    /// assert_eq!(error.to_string(), "run: the command failed: exit code 2: No targets.");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`CommandFailed`](crate::ErrorKind::CommandFailed) for any other code and for a signal,
    /// [`CommandLost`](crate::ErrorKind::CommandLost) for [`ExitOutcome::Lost`].
    pub fn exit_ok(self) -> Result<ExecOutput> {
        if self.success() {
            return Ok(ExecOutput { stdout: self.stdout, stderr: self.stderr });
        }
        let mut error = self.outcome.failure(&stderr_tail(&self.stderr));
        if self.outcome != ExitOutcome::Lost && self.stderr.is_empty() && !self.stdout.is_empty() {
            error = error.with_hint("it said nothing on stderr; see its stdout");
        }
        Err(error.with_partial(PartialOutput::Output { stdout: self.stdout, stderr: self.stderr }))
    }
}

/// The output of a command with exit code 0, see [`ExecResult::exit_ok`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ExecOutput {
    /// Its stdout.
    pub stdout: CapturedOutput,
    /// Its stderr.
    pub stderr: CapturedOutput,
}

impl PartialEq for ExecResult {
    fn eq(&self, other: &Self) -> bool {
        (&self.outcome, &self.stdout, &self.stderr) == (&other.outcome, &other.stdout, &other.stderr)
    }
}

impl Eq for ExecResult {}

/// The result of a command with bridged streams.
///
/// Equality ignores `elapsed`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "a non-zero exit code is no error by itself; `exit_ok()` makes it one"]
pub struct StdioResult {
    /// How the command ended.
    pub outcome: ExitOutcome,
    /// What went into stdin.
    pub stdin: StreamReport,
    /// What came from stdout.
    pub stdout: StreamReport,
    /// What came from stderr.
    pub stderr: StreamReport,
    /// The duration of the call.
    pub elapsed: Duration,
}

impl StdioResult {
    /// A result; for backends and tests.
    pub fn new(
        outcome: ExitOutcome,
        stdin: StreamReport,
        stdout: StreamReport,
        stderr: StreamReport,
        elapsed: Duration,
    ) -> Self {
        Self { outcome, stdin, stdout, stderr, elapsed }
    }

    /// Whether the exit code is 0.
    pub fn success(&self) -> bool {
        self.outcome.success()
    }

    /// Returns an error unless the exit code is 0, as [`std::process::ExitStatus::exit_ok`] does.
    ///
    /// The error has the [outcome](crate::Error::outcome) and the [reports of the
    /// streams](crate::Error::partial). It has no stderr, since bridged output is not kept.
    ///
    /// # Errors
    /// As for [`ExecResult::exit_ok`](crate::ExecResult::exit_ok).
    pub fn exit_ok(&self) -> Result<()> {
        if self.success() {
            return Ok(());
        }
        let Self { stdin, stdout, stderr, .. } = *self;
        Err(self.outcome.failure("").with_partial(PartialOutput::Streams { stdin, stdout, stderr }))
    }
}

impl PartialEq for StdioResult {
    fn eq(&self, other: &Self) -> bool {
        (&self.outcome, self.stdin, self.stdout, self.stderr)
            == (&other.outcome, other.stdin, other.stdout, other.stderr)
    }
}

impl Eq for StdioResult {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_keeps_its_output_in_the_error() {
        let result = |outcome, stderr: &str| {
            ExecResult::new(
                outcome,
                CapturedOutput::complete("out"),
                CapturedOutput::complete(stderr),
                Duration::ZERO,
            )
        };
        let output = result(ExitOutcome::Code(0), "warning").exit_ok().unwrap();
        assert_eq!((output.stdout.as_bytes(), output.stderr.as_bytes()), (&b"out"[..], &b"warning"[..]));
        for (outcome, stderr, text) in [
            (ExitOutcome::Code(7), "a\x1b[31mb\nc\n", "run: the command failed: exit code 7: ab\\nc"),
            (
                ExitOutcome::Code(7),
                "",
                "run: the command failed: exit code 7 (it said nothing on stderr; see its stdout)",
            ),
            (
                ExitOutcome::Signal("KILL".into()),
                "",
                "run: the command failed: killed by signal KILL (it said",
            ),
            (ExitOutcome::Lost, "x", "run: the command was lost: no exit status arrived: x (look at"),
        ] {
            let result = result(outcome, stderr);
            let error = result.clone().exit_ok().unwrap_err();
            assert!(error.to_string().starts_with(text), "{error}");
            assert_eq!(error.outcome(), Some(&result.outcome));
            let Some(PartialOutput::Output { stdout, stderr }) = error.partial() else { panic!("{error:?}") };
            assert_eq!((stdout, stderr), (&result.stdout, &result.stderr));
        }
    }

    #[test]
    fn equality_leaves_the_elapsed_time_out() {
        let result = |elapsed| {
            ExecResult::new(
                ExitOutcome::Code(0),
                CapturedOutput::complete("x"),
                CapturedOutput::default(),
                elapsed,
            )
        };
        assert_eq!(result(Duration::ZERO), result(Duration::from_secs(1)));
    }
}
