//! What a scripted command answers when its output is captured. Bridged scripts stand in `stdio_script`.

use std::time::Duration;

use rt_protocol::{ErrorKind, ExitOutcome, KillOutcome, StreamEnd, Survivor};

use super::fault::Leftover;

/// What a command is to answer.
///
/// ```
/// use std::time::Duration;
/// use rt_null::ExecReply;
/// use rt_protocol::ErrorKind;
///
/// let listing = ExecReply::stdout("Cargo.toml\nsrc\n");
/// let failure = ExecReply::code(2).with_stderr("no rule to make target\n").after(Duration::from_secs(3));
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
    /// Exit code 0 and no output.
    pub fn success() -> Self {
        Self::outcome(ExitOutcome::Code(0))
    }

    /// Exit code 0 and this on stdout.
    pub fn stdout(stdout: impl Into<Vec<u8>>) -> Self {
        Self::success().with_stdout(stdout)
    }

    /// This exit code and no output.
    pub fn code(code: i32) -> Self {
        Self::outcome(ExitOutcome::Code(code))
    }

    /// This outcome and no output.
    pub fn outcome(outcome: ExitOutcome) -> Self {
        Self::ending(ReplyEnd::Outcome(outcome))
    }

    /// An error of the call, such as [`CommandNotFound`](ErrorKind::CommandNotFound): the command does not run.
    /// `message` is a lower-case fragment without a final stop; operation and container are added.
    pub fn error(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::ending(ReplyEnd::Error(kind, message.into()))
    }

    /// The command runs until it is ended; what it has written by then is in
    /// [`Error::partial`](rt_protocol::Error::partial). As for [`Fault::hang`](crate::Fault::hang).
    pub fn hang() -> Self {
        Self::ending(ReplyEnd::Hang(Leftover::default()))
    }

    /// What is on stdout, in bytes.
    #[must_use]
    pub fn with_stdout(mut self, stdout: impl Into<Vec<u8>>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// What is on stderr, in bytes.
    #[must_use]
    pub fn with_stderr(mut self, stderr: impl Into<Vec<u8>>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// A child of the command stays behind and holds both outputs open: they end as
    /// [`LeftOpen`](StreamEnd::LeftOpen).
    #[must_use]
    pub fn left_open(mut self) -> Self {
        self.output_end = StreamEnd::LeftOpen;
        self
    }

    /// The answer takes this long by the [clock](crate::NullClock). The output was written before: when the deadline
    /// comes first, it is the partial output.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// What the kill report says of a command that is ended while it [hangs](Self::hang). Without effect on others.
    #[must_use]
    pub fn kill_outcome(mut self, outcome: KillOutcome) -> Self {
        if let ReplyEnd::Hang(leftover) = &mut self.end {
            leftover.outcome = outcome;
        }
        self
    }

    /// Processes that outlive the attempt to end a [hanging](Self::hang) command. Without effect on others.
    #[must_use]
    pub fn survivors(mut self, survivors: impl IntoIterator<Item = Survivor>) -> Self {
        if let ReplyEnd::Hang(leftover) = &mut self.end {
            *leftover = Leftover { outcome: KillOutcome::Alive, survivors: survivors.into_iter().collect() };
        }
        self
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

/// An empty success.
impl Default for ExecReply {
    fn default() -> Self {
        Self::success()
    }
}
