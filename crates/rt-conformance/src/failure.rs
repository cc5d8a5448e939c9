//! The result of a case, and the outcome that the suite derives from it.

use std::fmt;

use rt_protocol::Error;

/// The result of a case.
pub type Verdict = Result<(), Failure>;

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) outcome: Outcome,
}

impl Failure {
    /// The backend does not do what the name of the case says.
    pub fn new(what: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed(what.into()) }
    }

    /// The case found that it cannot be decided here.
    pub fn skip(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped(why.into()) }
    }

    /// What one case has told already: of no use to those that follow, and no fault of theirs.
    pub(crate) fn told(self) -> Self {
        match self.outcome {
            Outcome::Failed(_) => {
                Self::skip("the container that it needs is of no use, as the first case that needed it tells")
            }
            _ => self,
        }
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

/// The outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The fact holds.
    Passed,
    /// The case could not be decided, for this reason.
    Skipped(String),
    /// The fact does not hold; this was observed instead.
    Failed(String),
}

impl Outcome {
    /// Returns whether it is [`Failed`](Self::Failed).
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// Returns the word of a report: `passed`, `skipped` or `failed`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }

    /// Returns the reason of a skip, or what was observed in a failure.
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
