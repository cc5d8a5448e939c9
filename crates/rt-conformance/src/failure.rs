//! What a case answers: nothing, or why it did not pass; and what the suite makes of it.

use std::fmt;

use rt_protocol::Error;

/// What a case answers.
pub type Verdict = Result<(), Failure>;

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) outcome: Outcome,
}

impl Failure {
    /// The backend does not do what the case's name says.
    pub fn new(what: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed(what.into()) }
    }

    /// The case found out that it cannot be decided here.
    pub fn skip(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped(why.into()) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(format!("an error that the case did not ask for: {error:?}"))
    }
}

impl From<rt_protocol::InvalidValue> for Failure {
    fn from(refused: rt_protocol::InvalidValue) -> Self {
        Self::new(refused.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(format!("the suite's own input or output failed: {error}"))
    }
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The fact holds.
    Passed,
    /// It could not be decided, for this reason.
    Skipped(String),
    /// It does not hold: this is what was seen instead.
    Failed(String),
}

impl Outcome {
    /// Whether it is [`Failed`](Self::Failed).
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// What stands in a report: `passed`, `skipped`, `failed`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }

    /// The reason of a skip, or what was seen.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Skipped(text) | Self::Failed(text) => Some(text),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self.detail() {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}
