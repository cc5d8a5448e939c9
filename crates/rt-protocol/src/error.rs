//! The one error type of the contract, sorted by what the caller can do next.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::{
    Argv, Capabilities, CapturedOutput, ContainerName, ContainerState, ExitOutcome, Fate, GpuConfigError,
    ImageRef, InvalidValue, KillReport, OutputStream, Stop, StreamReport,
};

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and what is left of the command.
///
/// Eight bytes, cheap to clone, and the same type from every backend. Branch on [`kind`](Self::kind); show the text to a
/// person: it names the operation, the container or image, the cause and the remedy, and no secret.
///
/// ```
/// use rt_protocol::{ContainerName, Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotRunning, "exec in", "it is exited")
///     .in_container(&ContainerName::new("web")?)
///     .with_hint("start it first");
/// assert_eq!(error.to_string(), "exec in container `web`: not running: it is exited (start it first)");
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    subject: Option<String>,
    message: String,
    hint: Option<Cow<'static, str>>,
    missing: Capabilities,
    kill_report: Option<KillReport>,
    partial: Option<Partial>,
    outcome: Option<ExitOutcome>,
    gpu: Option<GpuConfigError>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value was refused before anything was started: correct it.
    InvalidRequest,
    /// This backend cannot do it, and started nothing: [`Error::missing`] names what it lacks. Ask another backend.
    Unsupported,
    /// The engine's program was not found: install it or say where it is.
    BackendMissing,
    /// The engine's program was found and cannot be executed: mend its permissions or its format.
    BackendNotExecutable,
    /// The engine did not answer a quick question within the runtime's own limit: look after the engine. Nothing is
    /// known about what was asked for.
    BackendUnresponsive,
    /// The engine answered with something that cannot be read: report a bug, with the text.
    BadAnswer,
    /// The engine's program was ended from outside, by a signal or a shutdown of its service, before it proved that the
    /// work was done. All, part or none of it may be done: look at the state, then ask again.
    BackendInterrupted,
    /// The engine refused for a reason that has no kind of its own; its words are in the message.
    BackendFailed,
    /// This container does not exist: create it.
    NoSuchContainer,
    /// The container is there and not running: start it.
    NotRunning,
    /// The container is paused: unpause it.
    Paused,
    /// The container is on its way to its end: wait until it has stopped, or remove it by force.
    Stopping,
    /// The name is taken: choose another, or remove its owner.
    NameInUse,
    /// The image is not known here, nor to the registry where that was asked: pull or build it.
    NoSuchImage,
    /// The registry of the image cannot be reached, or fails to serve it: try again later. Whether it has the image is
    /// not known.
    RegistryUnreachable,
    /// The registry refuses to hand out the image: log in, or ask for access. Some registries answer so for an image that
    /// they do not have.
    RegistryDenied,
    /// The image is used by a container: remove that first.
    ImageInUse,
    /// The port is taken on the host: choose another, or let the engine pick one.
    PortInUse,
    /// A file or directory that the request names does not exist.
    NoSuchPath,
    /// The command does not exist in the container. It did not run.
    CommandNotFound,
    /// The command is there and cannot be executed. It did not run.
    CommandNotExecutable,
    /// The workdir does not exist in the container. The command did not run.
    BadWorkdir,
    /// The user does not exist in the container. The command did not run.
    UnknownUser,
    /// The command ran, and ended with another exit code than 0 or by a signal: its stderr says why.
    /// [`Error::outcome`] has the code, [`Error::partial`] the output. Only `exit_ok` makes it
    /// ([`ExecResult::exit_ok`](crate::ExecResult::exit_ok)): a non-zero exit is data until the caller says otherwise.
    CommandFailed,
    /// The command's exit status never arrived ([`ExitOutcome::Lost`]): look at what it left before you repeat it. Only
    /// `exit_ok` makes it.
    CommandLost,
    /// The GPU configuration is at fault: [`Error::gpu_config`] has the message and the remedy.
    GpuConfig,
    /// What was handed over is right, and something of it may be missing. Whether it is cannot be known any more.
    Incomplete,
    /// The caller's deadline passed; [`Error::kill_report`] says what became of the command.
    TimedOut,
    /// The caller cancelled; [`Error::kill_report`] says what became of the command.
    Cancelled,
    /// The caller's stdin source failed, and the command was ended.
    SourceFailed,
    /// The caller's output sink failed, and the command was ended.
    SinkFailed,
    /// The far side cannot be reached: start it, or wait until it is ready.
    Unreachable,
    /// The far side showed another host key than the expected one: another machine may be answering.
    HostKeyMismatch,
    /// The identity (key file) is missing, unreadable, encrypted or malformed; nothing was sent.
    BadIdentity,
    /// The far side refused the identity.
    AuthenticationRefused,
    /// The backend was not compiled in: [`Error::hint`] names the feature.
    CompiledOut,
    /// The operating system refused something on our side: a pipe, a thread, a process.
    System,
}

impl ErrorKind {
    /// The kind in words, as messages show it; empty where the message says it all.
    const fn words(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid request",
            Self::Unsupported => "unsupported",
            Self::BackendMissing => "the engine's program is missing",
            Self::BackendNotExecutable => "the engine's program cannot be executed",
            Self::BackendUnresponsive => "the engine does not answer",
            Self::BadAnswer => "the engine's answer cannot be read",
            Self::BackendInterrupted => "the engine's program was interrupted",
            Self::BackendFailed => "the engine failed",
            Self::NoSuchContainer => "no such container",
            Self::NotRunning => "not running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::NameInUse => "the name is in use",
            Self::NoSuchImage => "no such image",
            Self::RegistryUnreachable => "the registry cannot be reached",
            Self::RegistryDenied => "the registry denies access",
            Self::ImageInUse => "the image is in use",
            Self::PortInUse => "the port is in use",
            Self::NoSuchPath => "no such path",
            Self::CommandNotFound => "command not found",
            Self::CommandNotExecutable => "the command cannot be executed",
            Self::BadWorkdir => "bad workdir",
            Self::UnknownUser => "unknown user",
            Self::CommandFailed => "the command failed",
            Self::CommandLost => "the command was lost",
            Self::GpuConfig => "bad GPU configuration",
            Self::Incomplete => "incomplete",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::SourceFailed => "the stdin source failed",
            Self::SinkFailed => "an output sink failed",
            Self::Unreachable => "cannot be reached",
            Self::HostKeyMismatch => "not the expected host key",
            Self::BadIdentity => "bad identity",
            Self::AuthenticationRefused => "authentication refused",
            Self::CompiledOut => "not compiled in",
            Self::System => "the system refused",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What had arrived of a command's streams when the call failed; all of it, for [`ErrorKind::CommandFailed`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partial {
    /// Captured output, under the limits of the request.
    Output {
        /// What had arrived on stdout.
        stdout: CapturedOutput,
        /// What had arrived on stderr.
        stderr: CapturedOutput,
    },
    /// Bridged streams.
    Streams {
        /// What had gone into stdin.
        stdin: StreamReport,
        /// What had come out of stdout.
        stdout: StreamReport,
        /// What had come out of stderr.
        stderr: StreamReport,
    },
}

impl Error {
    /// An error of `kind`. `operation` is a verb phrase that reads well before the subject ("exec in", "start", "list
    /// containers"); `message` is a lower-case fragment without a final stop, or empty.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            subject: None,
            message: message.into(),
            hint: None,
            missing: Capabilities::none(),
            kill_report: None,
            partial: None,
            outcome: None,
            gpu: None,
            source: None,
        }))
    }

    /// The answer of a backend that lacks what was asked for; it has started nothing.
    pub fn unsupported(operation: &'static str, missing: Capabilities) -> Self {
        let mut error = Self::new(ErrorKind::Unsupported, operation, format!("this backend lacks {missing}"))
            .with_hint("ask capabilities() first, or use another backend");
        error.0.missing = missing;
        error
    }

    /// The answer of a container that does not serve a call in the state that it is in: its kind, and the way out.
    pub fn in_state(state: &ContainerState, operation: &'static str) -> Self {
        let (kind, hint) = match state {
            ContainerState::Paused => (ErrorKind::Paused, "unpause it first"),
            ContainerState::Stopping => {
                (ErrorKind::Stopping, "wait until it has stopped, or remove it by force")
            }
            ContainerState::Removing => (ErrorKind::NotRunning, "create it again once it is removed"),
            // It was in another one when the call was refused.
            ContainerState::Running => (ErrorKind::NotRunning, "ask again"),
            _ => (ErrorKind::NotRunning, "start it first"),
        };
        Self::new(kind, operation, format!("it is {state}")).with_hint(hint)
    }

    /// The answer to a wait that was stopped.
    pub fn stopped(stop: Stop, operation: &'static str) -> Self {
        match stop {
            Stop::DeadlinePassed => Self::new(ErrorKind::TimedOut, operation, "")
                .with_hint("allow more time, or see what it waits for"),
            Stop::Cancelled => {
                Self::new(ErrorKind::Cancelled, operation, "").with_hint("as the caller's token asked")
            }
        }
    }

    /// The answer to a call whose stdin source failed.
    pub fn source_failed(operation: &'static str, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::SourceFailed, operation, "reading it failed").with_source(cause)
    }

    /// The answer to a call one of whose sinks failed.
    pub fn sink_failed(operation: &'static str, stream: OutputStream, cause: std::io::Error) -> Self {
        let message = match stream {
            OutputStream::Stdout => "writing stdout failed",
            OutputStream::Stderr => "writing stderr failed",
        };
        Self::new(ErrorKind::SinkFailed, operation, message).with_source(cause)
    }

    /// Names the container.
    #[must_use]
    pub fn in_container(self, name: &ContainerName) -> Self {
        self.about(format!("container `{name}`"))
    }

    /// Names the image.
    #[must_use]
    pub fn of_image(self, reference: &ImageRef) -> Self {
        self.about(format!("image `{reference}`"))
    }

    /// Names any other subject: "path `/x`".
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = Some(subject.into());
        self
    }

    /// Names the program of a command that cannot be started, where the message does not yet, and says so of a first word with
    /// blanks in it that words are not split. Errors of other kinds than [`CommandNotFound`](ErrorKind::CommandNotFound) and
    /// [`CommandNotExecutable`](ErrorKind::CommandNotExecutable) stay as they are. For backends.
    #[must_use]
    pub fn of_command(mut self, argv: &Argv) -> Self {
        if !matches!(self.0.kind, ErrorKind::CommandNotFound | ErrorKind::CommandNotExecutable) {
            return self;
        }
        let program = shown_program(argv);
        if !self.0.message.contains(&program) {
            let cause = std::mem::take(&mut self.0.message);
            let separator = if cause.is_empty() { "" } else { ": " };
            self.0.message = format!("`{program}`{separator}{cause}");
        }
        if argv.program().as_bytes().iter().any(u8::is_ascii_whitespace) {
            return self.with_hint(
                "words are not split at blanks: pass [\"ls\", \"-l\"] and not [\"ls -l\"], or run a shell, [\"sh\", \"-c\", …]",
            );
        }
        self
    }

    /// Says what to do about it, as an imperative fragment.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says what became of the command.
    #[must_use]
    pub fn with_kill_report(mut self, report: KillReport) -> Self {
        self.0.kill_report = Some(report);
        self
    }

    /// Hands over what had arrived.
    #[must_use]
    pub fn with_partial(mut self, partial: Partial) -> Self {
        self.0.partial = Some(partial);
        self
    }

    /// Says how the command ended.
    #[must_use]
    pub fn with_outcome(mut self, outcome: ExitOutcome) -> Self {
        self.0.outcome = Some(outcome);
        self
    }

    /// Keeps the cause; the message must not repeat its text.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Sets the operation, for a layer that knows it better than the one below.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, as a verb phrase: "exec in".
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What it was about, in words: "container `web`".
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// The cause in words, without operation, subject and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The remedy, as an imperative fragment.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref().or_else(|| self.gpu_config().map(GpuConfigError::hint))
    }

    /// What the backend lacks, for [`ErrorKind::Unsupported`]; otherwise empty.
    pub fn missing(&self) -> Capabilities {
        self.0.missing
    }

    /// What became of a command that was ended.
    pub fn kill_report(&self) -> Option<&KillReport> {
        self.0.kill_report.as_ref()
    }

    /// What had arrived of the command's streams.
    pub fn partial(&self) -> Option<&Partial> {
        self.0.partial.as_ref()
    }

    /// How the command ended, for [`ErrorKind::CommandFailed`] and [`ErrorKind::CommandLost`].
    pub fn outcome(&self) -> Option<&ExitOutcome> {
        self.0.outcome.as_ref()
    }

    /// Message and remedy of a GPU failure, for [`ErrorKind::GpuConfig`].
    pub fn gpu_config(&self) -> Option<&GpuConfigError> {
        self.0.gpu.as_ref()
    }

    /// Whether the command certainly never ran, so that sending it again cannot run it twice.
    pub fn never_started(&self) -> bool {
        match &self.0.kill_report {
            Some(report) => report.fate == Fate::NeverStarted,
            None => matches!(
                self.0.kind,
                ErrorKind::InvalidRequest
                    | ErrorKind::Unsupported
                    | ErrorKind::BackendMissing
                    | ErrorKind::BackendNotExecutable
                    | ErrorKind::NoSuchContainer
                    | ErrorKind::NotRunning
                    | ErrorKind::Paused
                    | ErrorKind::Stopping
                    | ErrorKind::CommandNotFound
                    | ErrorKind::CommandNotExecutable
                    | ErrorKind::BadWorkdir
                    | ErrorKind::UnknownUser
                    | ErrorKind::GpuConfig
                    | ErrorKind::HostKeyMismatch
                    | ErrorKind::BadIdentity
                    | ErrorKind::AuthenticationRefused
                    | ErrorKind::CompiledOut
            ),
        }
    }
}

/// The program as a message has it: on one line, at most 100 characters.
fn shown_program(argv: &Argv) -> String {
    const MOST: usize = 100;
    let text = argv.program().to_string_lossy();
    let mut shown = String::new();
    for letter in text.chars().take(MOST) {
        match letter {
            '"' | '\'' | '\\' => shown.push(letter),
            _ => shown.extend(letter.escape_debug()),
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(inner.operation)?;
        if let Some(subject) = &inner.subject {
            write!(f, " {subject}")?;
        }
        write!(f, ": {}", inner.kind)?;
        if !inner.message.is_empty() {
            write!(f, ": {}", inner.message)?;
        }
        if let Some(report) = &inner.kill_report {
            write!(f, "; {report}")?;
        }
        if let Some(hint) = &inner.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &inner.kind).field("text", &self.to_string());
        if let Some(report) = &inner.kill_report {
            debug.field("kill_report", report);
        }
        if let Some(outcome) = &inner.outcome {
            debug.field("outcome", outcome);
        }
        if let Some(partial) = &inner.partial {
            debug.field("partial", partial);
        }
        if let Some(source) = &inner.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<InvalidValue> for Error {
    fn from(refused: InvalidValue) -> Self {
        Self::new(ErrorKind::InvalidRequest, "check the request", refused.to_string())
            .with_hint("correct the value")
    }
}

impl From<GpuConfigError> for Error {
    fn from(gpu: GpuConfigError) -> Self {
        // The message ends with the hint already.
        let mut error = Self::new(ErrorKind::GpuConfig, "start", gpu.message());
        error.0.gpu = Some(gpu);
        error
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_error_is_eight_bytes_and_crosses_threads() {
        fn crosses<T: Send + Sync + Clone + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_text_names_operation_container_cause_fate_and_remedy() {
        let name = ContainerName::new("web").unwrap();
        let error = Error::stopped(Stop::DeadlinePassed, "exec in")
            .in_container(&name)
            .with_kill_report(KillReport::new(Fate::Gone, 2, Vec::new(), Duration::from_secs(1)))
            .with_hint("give it more time");
        assert_eq!(
            error.to_string(),
            "exec in container `web`: timed out; the command and its children are gone (give it more time)"
        );
    }

    #[test]
    fn a_command_that_cannot_be_started_is_named() {
        let told = |kind, message: &str, words: &[&str]| {
            let argv = Argv::new(words.iter().copied()).unwrap();
            Error::new(kind, "exec in", message).with_hint("as before").of_command(&argv).to_string()
        };
        let denied = "open executable: Permission denied";
        assert_eq!(
            told(ErrorKind::CommandNotExecutable, denied, &["/etc/passwd", "-x"]),
            format!("exec in: the command cannot be executed: `/etc/passwd`: {denied} (as before)")
        );
        assert_eq!(
            told(ErrorKind::CommandNotFound, "", &["a\u{1}b"]),
            "exec in: command not found: `a\\u{1}b` (as before)"
        );
        let named = "executable file `ls -l` not found";
        let split = told(ErrorKind::CommandNotFound, named, &["ls -l"]);
        assert!(
            split.starts_with(&format!("exec in: command not found: {named} (words are not split")),
            "{split}"
        );
        let long = told(ErrorKind::CommandNotFound, "", &[&"x".repeat(5000)]);
        assert!(long.len() < 200 && long.contains("x…`"), "{long}");
        assert_eq!(told(ErrorKind::BadWorkdir, "gone", &["ls -l"]), "exec in: bad workdir: gone (as before)");
    }

    #[test]
    fn only_a_certain_never_started_may_be_retried_blindly() {
        let stopped = |fate| {
            Error::stopped(Stop::Cancelled, "exec in").with_kill_report(KillReport::new(
                fate,
                0,
                vec![],
                Duration::ZERO,
            ))
        };
        assert!(stopped(Fate::NeverStarted).never_started());
        assert!(!stopped(Fate::Gone).never_started());
        assert!(!stopped(Fate::Unknown("x".into())).never_started());
        assert!(Error::new(ErrorKind::CommandNotFound, "exec in", "").never_started());
        assert!(!Error::new(ErrorKind::BackendUnresponsive, "exec in", "").never_started());
    }
}
