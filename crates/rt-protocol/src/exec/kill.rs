//! The result of ending a command.

use std::fmt;
use std::time::Duration;

/// The result of ending a command: after a deadline, a cancellation, or the failure of one of the
/// caller's streams.
///
/// The error of the call has it, see [`Error::kill_report`](crate::Error::kill_report).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "it says whether the command is gone"]
pub struct KillReport {
    /// What is known about the command now.
    pub outcome: KillOutcome,
    /// How many processes of the command were sent a signal and are gone.
    pub killed: usize,
    /// The processes of the command that are left.
    pub survivors: Vec<Survivor>,
    /// How long killing and checking took.
    pub elapsed: Duration,
}

impl KillReport {
    /// Returns a report; for backends and tests.
    pub fn new(outcome: KillOutcome, killed: usize, survivors: Vec<Survivor>, elapsed: Duration) -> Self {
        Self { outcome, killed, survivors, elapsed }
    }

    /// Returns the report for a command that certainly never ran.
    pub fn never_started() -> Self {
        Self::of(KillOutcome::NeverStarted, 0)
    }

    /// Returns the report for a command without processes; `killed` of them were sent a signal.
    pub fn gone(killed: usize) -> Self {
        Self::of(KillOutcome::Gone, killed)
    }

    /// Returns the report for a command about which nothing is known, for the reason `why`.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::of(KillOutcome::Unknown(why.into()), 0)
    }

    fn of(outcome: KillOutcome, killed: usize) -> Self {
        Self::new(outcome, killed, Vec::new(), Duration::ZERO)
    }

    /// Sets how long killing and checking took.
    pub fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }
}

/// What is known about a command that was ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum KillOutcome {
    /// The command certainly never ran. Only in this case is it always safe to run it again.
    NeverStarted,
    /// None of its processes is left. This was checked, not assumed. It ran, or was about to and
    /// may have run.
    Gone,
    /// Some of its processes are left, see [`KillReport::survivors`].
    Alive,
    /// Could not be determined, for this reason: the backend could not check, or a process that
    /// hides its origin cannot be excluded.
    Unknown(String),
}

impl KillOutcome {
    /// Returns what to do next, as the hint of an error.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NeverStarted => "it may be sent again",
            Self::Gone => "what it did until then stays; see the partial output",
            Self::Alive | Self::Unknown(_) => "look after the processes named in the kill report",
        }
    }
}

/// A process that was not killed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Survivor {
    /// Its process id: on the host for podman, in the guest for krun.
    pub pid: u32,
    /// Its name, at most 15 bytes (Linux `comm`). The process chooses it, so it is displayed
    /// escaped.
    pub name: String,
}

impl Survivor {
    /// Returns a survivor; for backends and tests.
    pub fn new(pid: u32, name: impl Into<String>) -> Self {
        Self { pid, name: name.into() }
    }
}

impl fmt::Display for KillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            KillOutcome::NeverStarted => f.write_str("the command never started"),
            KillOutcome::Gone => f.write_str("the command and its children are gone"),
            KillOutcome::Alive => {
                f.write_str("still alive:")?;
                self.survivors
                    .iter()
                    .try_for_each(|survivor| write!(f, " {} ({:?})", survivor.pid, survivor.name))
            }
            KillOutcome::Unknown(why) => write!(f, "what became of the command is unknown: {why}"),
        }
    }
}
