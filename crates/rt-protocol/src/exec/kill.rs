//! What became of a command that was ended on purpose.

use std::fmt;
use std::time::Duration;

/// What ending a command came to: on a deadline, a cancel, or the failure of one of the caller's streams.
///
/// Attached to the error of the call, see [`Error::kill_report`](crate::Error::kill_report).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "it says whether the command is gone"]
pub struct KillReport {
    /// What is known of the command now.
    pub outcome: KillOutcome,
    /// How many processes of the command were sent a signal and are gone.
    pub killed: usize,
    /// Processes of the command that are still there.
    pub survivors: Vec<Survivor>,
    /// How long ending and looking took.
    pub elapsed: Duration,
}

impl KillReport {
    /// A report; for backends and tests.
    pub fn new(outcome: KillOutcome, killed: usize, survivors: Vec<Survivor>, elapsed: Duration) -> Self {
        Self { outcome, killed, survivors, elapsed }
    }

    /// The command certainly never ran.
    pub fn never_started() -> Self {
        Self::of(KillOutcome::NeverStarted, 0)
    }

    /// None of the command's processes is left; so many were sent a signal.
    pub fn gone(killed: usize) -> Self {
        Self::of(KillOutcome::Gone, killed)
    }

    /// Nobody can say, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::of(KillOutcome::Unknown(why.into()), 0)
    }

    fn of(outcome: KillOutcome, killed: usize) -> Self {
        Self::new(outcome, killed, Vec::new(), Duration::ZERO)
    }

    /// Sets how long it took.
    pub fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }
}

/// What is known of a command that was ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum KillOutcome {
    /// It certainly never ran. The one case in which the same command may be sent again without a thought.
    NeverStarted,
    /// None of its processes is left; this was looked up, not assumed. It ran, or was on its way and may have run.
    Gone,
    /// Some of its processes are left, see [`KillReport::survivors`].
    Alive,
    /// Nobody can say, for this reason: the backend could not look, or a process that hides its origin cannot be
    /// excluded.
    Unknown(String),
}

impl KillOutcome {
    /// What the caller does next, as an error's hint says it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NeverStarted => "it may be sent again",
            Self::Gone => "what it did until then stays; see the partial output",
            Self::Alive | Self::Unknown(_) => "look after the processes named in the kill report",
        }
    }
}

/// A process that outlived the attempt to end it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Survivor {
    /// Its process id, as the side that was asked numbers processes: the host's for podman, the guest's for krun.
    pub pid: u32,
    /// Its name, at most 15 bytes (Linux `comm`); the process chooses it, so it is shown escaped.
    pub name: String,
}

impl Survivor {
    /// A survivor; for backends and tests.
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
