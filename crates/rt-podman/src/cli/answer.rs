//! What podman answered, and what proves that it did what it was asked for.
//!
//! No exit code is believed by itself. podman 4.3 leaves with 0 when somebody sends it TERM, whatever it has done by then;
//! 5.4 leaves with 1 and without a word; a service manager sends TERM to every process of a unit. So a call that was ended
//! from outside is an error of its own before anybody sees its answer, and of the others each caller says what there must
//! be to be read. Streams that go on (an exec, a log, events) are judged where they are read.

use rt_process::{ExitStatus, Finished};
use rt_protocol::{ContainerName, Error, ErrorKind, ImageRef, Result};

use super::failure::{self, Failure};

/// What podman says at its log level `info` when a signal makes it leave, before it does anything about it (4.3.1, 5.4.2).
const FAREWELL: &str = "msg=\"Received shutdown signal";

/// What every line of podman's log begins with, and what marks those that were asked for as evidence alone.
const LOG_LINE: &str = "time=\"";
const INFORMATION: &str = " level=info ";

/// What podman left with: nobody has asked for its proof yet.
#[derive(Debug)]
#[must_use = "an exit code proves nothing: ask for what proves it"]
pub(crate) struct Answer {
    operation: &'static str,
    code: i32,
    stdout: String,
    stderr: String,
    tells: bool,
}

/// What podman refused, in its own words; or what it answered, with its proof.
pub(crate) type Verdict<T> = std::result::Result<T, Refusal>;

/// podman's own words why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The exit code.
    pub(crate) code: i32,
    pub(crate) stderr: String,
}

/// Whether a call tells that somebody made it leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It tells nothing: its log level is the caller's, or podman's own.
    Nothing,
    /// It tells, because its caller has chosen a log level of at least `info`.
    AsTheCallerWants,
    /// It tells, because this crate has set the log level; the other lines of that level are nobody's.
    Asked,
}

impl Answer {
    /// What a client that has finished left with. Of one that was ended from outside there is no answer.
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

    /// What podman wrote to stderr.
    pub(crate) fn remarks(&self) -> &str {
        &self.stderr
    }

    /// What podman refused, if it did.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        (self.code != 0).then(|| Refusal { code: self.code, stderr: self.stderr.clone() })
    }

    /// What podman printed; for a question to which it always prints something. Silence is no answer.
    pub(crate) fn printed(self) -> Result<Verdict<String>> {
        let operation = self.operation;
        match self.claimed() {
            Ok(Some(text)) => Ok(Ok(text)),
            Ok(None) => Err(interrupted(operation, "podman ended with exit code 0 and without an answer")),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// What podman printed, if anything; for a call to which silence may be the whole answer. A client that was made to
    /// leave would have told.
    pub(crate) fn told(self) -> Result<Verdict<String>> {
        if self.tells || self.code != 0 || !self.stdout.trim().is_empty() {
            return Ok(self.claimed().map(Option::unwrap_or_default));
        }
        Err(interrupted(self.operation, "podman ended with exit code 0 and without a proof"))
    }

    /// What podman printed; `None` when it left with 0 and printed nothing, which proves nothing: the caller looks at what
    /// came of it.
    pub(crate) fn claimed(self) -> Verdict<Option<String>> {
        if self.code != 0 {
            return Err(Refusal { code: self.code, stderr: self.stderr });
        }
        Ok(Some(self.stdout).filter(|text| !text.trim().is_empty()))
    }
}

impl Refusal {
    /// What podman says went wrong.
    pub(crate) fn failure(&self) -> Failure {
        failure::classify(&self.stderr).unwrap_or(Failure::Other)
    }

    /// The public error of `operation`.
    pub(crate) fn error(&self, operation: &'static str) -> Error {
        self.failure().error(operation, &self.stderr)
    }

    /// The public error of `operation` on a container.
    pub(crate) fn of_container(&self, operation: &'static str, name: &ContainerName) -> Error {
        self.failure().into_error(operation, name, &self.stderr)
    }

    /// The public error of `operation` on an image.
    pub(crate) fn of_image(&self, operation: &'static str, image: &ImageRef) -> Error {
        self.failure().into_image_error(operation, image, &self.stderr)
    }
}

/// Whether podman says that a signal makes it leave.
pub(crate) fn is_farewell(stderr: &str) -> bool {
    stderr.lines().any(|line| line.starts_with(LOG_LINE) && line.contains(FAREWELL))
}

/// Whether a line of podman's log is none of its complaints.
pub(crate) fn is_information(line: &str) -> bool {
    line.starts_with(LOG_LINE) && line.contains(INFORMATION)
}

/// The error for a client that somebody else ended before it proved that its work was done.
pub(crate) fn interrupted(operation: &'static str, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BackendInterrupted, operation, what)
        .with_hint("look at what came of it, then ask again")
}

/// The error for a client whose end nobody saw.
pub(crate) fn lost_status(operation: &'static str) -> Error {
    Error::new(ErrorKind::System, operation, "podman's exit status was lost").with_hint(
        "this program must reap no children that it has not started itself, and not ignore SIGCHLD",
    )
}

/// What a rootless podman leaves with when the process is killed that it has put into its user namespace.
fn is_of_a_signal(code: i32) -> bool {
    (129..=192).contains(&code)
}

/// The text without the lines of podman's log that were asked for as evidence alone.
fn without_information(stderr: &str) -> String {
    stderr.split_inclusive('\n').filter(|line| !is_information(line)).collect()
}
