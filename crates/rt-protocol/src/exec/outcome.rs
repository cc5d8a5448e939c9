//! How a command ended: with a code, by a signal, or unknown.

use std::fmt;

use crate::Signal;

/// How a command, or the main process of a container, ended.
///
/// A non-zero exit code is a result, not an error. Backends know different facts. `podman exec`
/// reports a death by signal N as code 128+N; a command may also exit with that number, so the
/// backend returns [`Code`](Self::Code) and never guesses. A backend that learns the signal returns
/// [`Signal`](Self::Signal).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[must_use = "a non-zero exit code is no error by itself; `exit_ok()` makes it one"]
pub enum ExitOutcome {
    /// The exit code, usually 0 to 255.
    Code(i32),
    /// The signal that ended the command, without `SIG`: `KILL`, `TERM`.
    Signal(String),
    /// The container or connection went away before an exit status was received. The command may
    /// have run completely, partly or not at all. Never reported as exit code 0.
    Lost,
}

impl ExitOutcome {
    /// Returns whether it is exit code 0.
    pub fn success(&self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// Returns the exit code; `None` for a signal or [`Lost`](Self::Lost).
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(_) | Self::Lost => None,
        }
    }

    /// Returns the code that a shell would report: the exit code, or 128 plus the number of the
    /// signal. `None` for [`Lost`](Self::Lost), and for a signal that neither POSIX nor Linux
    /// names.
    pub fn shell_code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(name) => Signal::new(name).ok().map(|signal| 128 + signal.number().cast_signed()),
            Self::Lost => None,
        }
    }
}

impl fmt::Display for ExitOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(name) => write!(f, "killed by signal {name}"),
            Self::Lost => f.write_str("lost before an exit status arrived"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_folds_to_128_plus_its_number() {
        assert_eq!(ExitOutcome::Signal("KILL".into()).shell_code(), Some(137));
        assert_eq!(ExitOutcome::Signal("TERM".into()).shell_code(), Some(143));
        assert_eq!(ExitOutcome::Signal("SYS".into()).shell_code(), Some(159));
        assert_eq!(ExitOutcome::Signal("NOSUCH".into()).shell_code(), None);
    }

    #[test]
    fn lost_is_neither_success_nor_a_code() {
        assert!(!ExitOutcome::Lost.success());
        assert_eq!((ExitOutcome::Lost.code(), ExitOutcome::Lost.shell_code()), (None, None));
    }
}
