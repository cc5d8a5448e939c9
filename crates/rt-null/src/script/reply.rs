//! The scripted answer of a captured command. Bridged scripts are in `stdio_script`.

use std::time::Duration;

use rt_protocol::{ErrorKind, ExitOutcome, KillOutcome, StreamEnd, Survivor};

use super::fault::Leftover;

/// The answer of a command.
///
/// ```
/// use std::time::Duration;
/// use rt_null::ExecReply;
/// use rt_protocol::ErrorKind;
///
/// let listing = ExecReply::stdout("Cargo.toml\nsrc\n");
/// let failure = ExecReply::code(2).with_stderr("no rule to make target\n");
/// let failure = failure.after(Duration::from_secs(3));
/// let missing = ExecReply::error(ErrorKind::CommandNotFound, "nosuch");
/// # let _ = (listing, failure, missing);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecReply {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) after: Duration,
    pub(crate) output_end: StreamEnd,
    pub(crate) end: ReplyEnd,
}

/// How a scripted command ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplyEnd {
    Outcome(ExitOutcome),
    Error(ErrorKind, String),
    Hang(Leftover),
}

impl ExecReply {
    /// Answers exit code 0 without output.
    pub fn success() -> Self {
        Self::outcome(ExitOutcome::Code(0))
    }

    /// Answers exit code 0 with this stdout.
    pub fn stdout(stdout: impl Into<Vec<u8>>) -> Self {
        Self::success().with_stdout(stdout)
    }

    /// Answers this exit code without output.
    pub fn code(code: i32) -> Self {
        Self::outcome(ExitOutcome::Code(code))
    }

    /// Answers this outcome without output.
    pub fn outcome(outcome: ExitOutcome) -> Self {
        Self::ending(ReplyEnd::Outcome(outcome))
    }

    /// Answers an error of the call, such as [`CommandNotFound`](ErrorKind::CommandNotFound): the
    /// command does not run. `message` is a lowercase fragment without a full stop; operation and
    /// container are added.
    pub fn error(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::ending(ReplyEnd::Error(kind, message.into()))
    }

    /// Lets the command run until it is killed, as for [`Fault::hang`](crate::Fault::hang). Output
    /// written before that is in [`Error::partial`](rt_protocol::Error::partial).
    pub fn hang() -> Self {
        Self::ending(ReplyEnd::Hang(Leftover::default()))
    }

    /// Sets stdout.
    #[must_use]
    pub fn with_stdout(mut self, stdout: impl Into<Vec<u8>>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Sets stderr.
    #[must_use]
    pub fn with_stderr(mut self, stderr: impl Into<Vec<u8>>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Leaves a child of the command behind that holds both outputs open: they end as
    /// [`LeftOpen`](StreamEnd::LeftOpen).
    #[must_use]
    pub fn left_open(mut self) -> Self {
        self.output_end = StreamEnd::LeftOpen;
        self
    }

    /// Delays the answer by this long on the [clock](crate::NullClock). The output is written
    /// before the delay, so it is the partial output if the deadline comes first.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// Sets the kill report's outcome if the command is killed while it [hangs](Self::hang). No
    /// effect otherwise.
    #[must_use]
    pub fn kill_outcome(mut self, outcome: KillOutcome) -> Self {
        if let ReplyEnd::Hang(leftover) = &mut self.end {
            leftover.outcome = outcome;
        }
        self
    }

    /// Sets the processes that survive the kill of a [hanging](Self::hang) command. No effect
    /// otherwise.
    #[must_use]
    pub fn survivors(mut self, survivors: impl IntoIterator<Item = Survivor>) -> Self {
        if let ReplyEnd::Hang(leftover) = &mut self.end {
            *leftover = Leftover { outcome: KillOutcome::Alive, survivors: survivors.into_iter().collect() };
        }
        self
    }

    /// Returns what killing the command leaves, should it hang.
    pub(crate) fn leftover(&self) -> Leftover {
        match &self.end {
            ReplyEnd::Hang(leftover) => leftover.clone(),
            _ => Leftover::default(),
        }
    }

    fn ending(end: ReplyEnd) -> Self {
        Self {
            stdout: Vec::new(),
            stderr: Vec::new(),
            after: Duration::ZERO,
            output_end: StreamEnd::Eof,
            end,
        }
    }
}

/// Returns a success without output.
impl Default for ExecReply {
    fn default() -> Self {
        Self::success()
    }
}
