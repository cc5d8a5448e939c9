//! The error for a command that did not succeed.

use crate::{Error, ErrorKind, ExitOutcome, Result};

impl ExitOutcome {
    /// Returns an error unless the exit code is 0, as [`std::process::ExitStatus::exit_ok`] does.
    ///
    /// The error of [`ExecResult::exit_ok`](crate::ExecResult::exit_ok) also has the end of stderr.
    ///
    /// # Errors
    /// [`CommandFailed`](ErrorKind::CommandFailed) for any other code and for a signal,
    /// [`CommandLost`](ErrorKind::CommandLost) for [`Lost`](Self::Lost).
    pub fn exit_ok(&self) -> Result<()> {
        if self.success() { Ok(()) } else { Err(self.failure("")) }
    }

    /// Returns the error for an end without success; `stderr` is the end of the command's stderr,
    /// or empty.
    pub(crate) fn failure(&self, stderr: &str) -> Error {
        let mut message = match self {
            // The kind says the rest.
            Self::Lost => String::from("no exit status arrived"),
            known => known.to_string(),
        };
        if !stderr.is_empty() {
            message.push_str(": ");
            message.push_str(stderr);
        }
        let error = match self {
            Self::Lost => Error::new(ErrorKind::CommandLost, "run", message).with_hint(
                "look at what it left before you repeat it: all, some or none of its work may be done",
            ),
            _ => Error::new(ErrorKind::CommandFailed, "run", message),
        };
        error.with_outcome(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_but_code_0_is_an_error_that_has_it() {
        assert!(ExitOutcome::Code(0).exit_ok().is_ok());
        for (outcome, kind, text) in [
            (ExitOutcome::Code(3), ErrorKind::CommandFailed, "run: the command failed: exit code 3"),
            (ExitOutcome::Code(-1), ErrorKind::CommandFailed, "run: the command failed: exit code -1"),
            (
                ExitOutcome::Signal("KILL".into()),
                ErrorKind::CommandFailed,
                "run: the command failed: killed by signal KILL",
            ),
            (
                ExitOutcome::Lost,
                ErrorKind::CommandLost,
                "run: the command was lost: no exit status arrived (look",
            ),
        ] {
            let error = outcome.exit_ok().unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (kind, Some(&outcome)));
            assert!(error.to_string().starts_with(text), "{error}");
            assert!(!error.never_started(), "{error}");
        }
    }
}
