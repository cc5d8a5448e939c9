//! podman's answer to a call, and the evidence that it did its work.
//!
//! An exit code alone is not believed. If another process sends TERM to podman 4.3, it exits with 0
//! whatever it has done by then; 5.4 exits with 1 and prints nothing. A service manager sends TERM
//! to every process of a unit. So a call that was interrupted is an error of its own. For other
//! calls, the caller says what output to expect. Streams that go on (an exec, a log, events) are
//! judged where they are read.

use rt_process::{ExitStatus, Finished};
use rt_protocol::{ContainerName, Error, ErrorKind, ImageRef, Result};

use super::failure::{self, Failure};

/// What podman logs at level `info` when a signal makes it exit, before it acts on the signal
/// (4.3.1, 5.4.2).
const FAREWELL: &str = "msg=\"Received shutdown signal";

/// The start of every line of podman's log.
const LOG_LINE: &str = "time=\"";
const INFORMATION: &str = " level=info ";

/// The exit code and output of a finished podman client, before any evidence was checked.
#[derive(Debug)]
#[must_use = "an exit code proves nothing: ask for what proves it"]
pub(crate) struct Answer {
    operation: &'static str,
    code: i32,
    stdout: String,
    stderr: String,
    tells: bool,
}

/// podman's answer with its evidence, or its refusal.
pub(crate) type Verdict<T> = std::result::Result<T, Refusal>;

/// A refusal in podman's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The exit code.
    pub(crate) code: i32,
    pub(crate) stderr: String,
}

/// Whether a call's log shows that a signal made podman exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It does not: the log level is the caller's or podman's own.
    Nothing,
    /// It does, because the caller has set a log level of at least `info`.
    AsTheCallerWants,
    /// It does, because this crate has set the log level. Other lines of that level are removed.
    Asked,
}

impl Answer {
    /// Reads what a finished client has printed. A client that was interrupted gives an error
    /// instead.
    pub(crate) fn of(operation: &'static str, finished: Finished, telling: Telling) -> Result<Self> {
        if finished.stdout_capture.is_truncated() {
            let message = format!("podman answered with {} bytes", finished.stdout_capture.total());
            return Err(
                Error::new(ErrorKind::InvalidResponse, operation, message).with_hint("ask for less at once")
            );
        }
        let stderr = finished.stderr_capture.text();
        let tells = telling != Telling::Nothing;
        let code = match finished.status {
            Some(ExitStatus::Code(code)) => code,
            Some(ExitStatus::Signal(signal)) => {
                return Err(interrupted(operation, format!("podman was killed by signal {signal}")));
            }
            None => return Err(lost_status(operation)),
        };
        if tells && is_farewell(&stderr) {
            return Err(interrupted(operation, "a signal made podman leave"));
        }
        let stderr =
            if telling == Telling::Asked { without_information(&stderr) } else { stderr.into_owned() };
        if code != 0 && stderr.trim().is_empty() && (!tells || is_of_a_signal(code)) {
            let message = format!("podman ended with exit code {code} and without a word");
            return Err(interrupted(operation, message));
        }
        let stdout = String::from_utf8_lossy(finished.stdout_capture.as_bytes()).into_owned();
        Ok(Self { operation, code, stdout, stderr, tells })
    }

    /// Returns what podman wrote to stderr.
    pub(crate) fn remarks(&self) -> &str {
        &self.stderr
    }

    /// Returns podman's refusal, if it refused.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        (self.code != 0).then(|| Refusal { code: self.code, stderr: self.stderr.clone() })
    }

    /// Returns podman's output, or an error if it refused. As [`printed`](Self::printed).
    pub(crate) fn text(self) -> Result<String> {
        let operation = self.operation;
        self.printed()?.map_err(|refusal| refusal.error(operation))
    }

    /// Returns podman's output, for a query to which it always prints something. An empty output is
    /// an error.
    pub(crate) fn printed(self) -> Result<Verdict<String>> {
        let operation = self.operation;
        match self.claimed() {
            Ok(Some(text)) => Ok(Ok(text)),
            Ok(None) => Err(interrupted(operation, "podman ended with exit code 0 and without an answer")),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Returns podman's output, for a call whose output may be empty. If a signal had made the
    /// client exit, its log would show it.
    pub(crate) fn told(self) -> Result<Verdict<String>> {
        if self.tells || self.code != 0 || !self.stdout.trim().is_empty() {
            return Ok(self.claimed().map(Option::unwrap_or_default));
        }
        Err(interrupted(self.operation, "podman ended with exit code 0 and without a proof"))
    }

    /// Returns podman's output; `None` if it exited with 0 and printed nothing. That proves
    /// nothing: the caller checks the effect.
    pub(crate) fn claimed(self) -> Verdict<Option<String>> {
        if self.code != 0 {
            return Err(Refusal { code: self.code, stderr: self.stderr });
        }
        Ok(Some(self.stdout).filter(|text| !text.trim().is_empty()))
    }
}

impl Refusal {
    /// Classifies podman's error.
    pub(crate) fn failure(&self) -> Failure {
        failure::classify(&self.stderr).unwrap_or(Failure::Other)
    }

    /// Builds the public error of `operation`.
    pub(crate) fn error(&self, operation: &'static str) -> Error {
        self.failure().error(operation, &self.stderr)
    }

    /// Builds the public error of `operation` on a container.
    pub(crate) fn of_container(&self, operation: &'static str, name: &ContainerName) -> Error {
        self.failure().into_error(operation, name, &self.stderr)
    }

    /// Builds the public error of `operation` on an image.
    pub(crate) fn of_image(&self, operation: &'static str, image: &ImageRef) -> Error {
        self.failure().into_image_error(operation, image, &self.stderr)
    }
}

/// Returns whether podman logs that a signal makes it exit.
pub(crate) fn is_farewell(stderr: &str) -> bool {
    stderr.lines().any(|line| line.starts_with(LOG_LINE) && line.contains(FAREWELL))
}

/// Returns whether the line is informational, and not a complaint.
pub(crate) fn is_information(line: &str) -> bool {
    line.starts_with(LOG_LINE) && line.contains(INFORMATION)
}

/// Builds the error for a client that another process ended before it showed that its work was
/// done.
pub(crate) fn interrupted(operation: &'static str, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BackendInterrupted, operation, what)
        .with_hint("look at what came of it, then ask again")
}

/// Builds the error for a client whose exit status is lost.
pub(crate) fn lost_status(operation: &'static str) -> Error {
    Error::new(ErrorKind::System, operation, "podman's exit status was lost").with_hint(
        "this program must reap no children that it has not started itself, and not ignore SIGCHLD",
    )
}

/// Returns whether it is the exit code of a rootless podman whose child in the user namespace was
/// killed.
fn is_of_a_signal(code: i32) -> bool {
    (129..=192).contains(&code)
}

/// Removes the log lines that were requested as evidence only.
fn without_information(stderr: &str) -> String {
    stderr.split_inclusive('\n').filter(|line| !is_information(line)).collect()
}

#[cfg(test)]
mod tests {
    use rt_protocol::{Capture, ErrorKind, OutputLimit, StreamEnd};

    use super::*;

    /// The error for a client that printed an answer and ended so.
    fn error_of(status: Option<ExitStatus>) -> Error {
        let mut stdout = Capture::new(OutputLimit::UNLIMITED);
        stdout.push(b"[]");
        let mut finished = Finished::default();
        finished.status = status;
        finished.stdout_capture = stdout.finish(StreamEnd::Eof);
        Answer::of("list", finished, Telling::Asked).unwrap_err()
    }

    #[test]
    fn a_client_whose_end_is_not_known_or_was_a_signal_says_so() {
        let reaped = error_of(None);
        assert_eq!(reaped.kind(), ErrorKind::System, "{reaped}");
        assert!(reaped.hint().is_some_and(|hint| hint.contains("reap no children")), "{reaped}");
        let killed = error_of(Some(ExitStatus::Signal(9)));
        assert_eq!(killed.kind(), ErrorKind::BackendInterrupted, "{killed}");
        assert!(killed.message().contains("killed by signal 9"), "{killed}");
    }
}
