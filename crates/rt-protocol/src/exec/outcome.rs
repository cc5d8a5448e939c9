//! How a command ended: a code, a signal, or nobody knows.

use std::fmt;

/// How a command, or a container's main process, ended.
///
/// A non-zero exit is data, not an error. What each backend can know differs: podman reports a death by signal N as
/// code 128+N, and the command may return that number itself, so podman answers [`Code`](Self::Code) and never guesses;
/// a backend that is told the signal answers [`Signal`](Self::Signal).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[must_use = "a command that failed is no error until somebody looks; `exit_ok()` makes it one"]
pub enum ExitOutcome {
    /// The exit code that was reported, usually 0 to 255.
    Code(i32),
    /// The signal that ended the command, without `SIG`: `KILL`, `TERM`.
    Signal(String),
    /// The far side went away before a status arrived: the container was removed or stopped under the command, or a
    /// connection was lost. The command may have done all, some or none of its work. Never folded into 0.
    Lost,
}

impl ExitOutcome {
    /// Whether it is exit code 0.
    pub fn success(&self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// The exit code, if there is one.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(_) | Self::Lost => None,
        }
    }

    /// What a shell would report: the code, or 128 plus the number of the signal; `None` when lost or when the signal
    /// is none that POSIX or Linux names.
    pub fn shell_code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(name) => signal_number(name).map(|number| 128 + number),
            Self::Lost => None,
        }
    }
}

/// The number of a signal on Linux (signal(7), x86 and ARM), by its name without `SIG`.
fn signal_number(name: &str) -> Option<i32> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    NAMES.iter().zip(1..).find(|(known, _)| **known == name).map(|(_, number)| number)
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
