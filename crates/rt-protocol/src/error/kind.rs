//! What a caller can do about an error.

use std::fmt;

use crate::word_enum;

/// What the caller can do about an [`Error`](crate::Error).
///
/// Its `Display` is what messages say of it. Its [word](Self::as_str) is for logs, metrics and configurations, and
/// `FromStr` reads that:
///
/// ```
/// use rt_protocol::ErrorKind;
///
/// assert_eq!(ErrorKind::NoSuchContainer.as_str(), "no-such-container");
/// assert_eq!("timed-out".parse(), Ok(ErrorKind::TimedOut));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value was refused before anything was started: correct it.
    InvalidRequest,
    /// This backend cannot do it, and started nothing: [`Error::missing`](crate::Error::missing) names what it lacks. Ask another backend.
    Unsupported,
    /// The engine's program was not found: install it or say where it is.
    BackendMissing,
    /// The engine's program was found and cannot be executed: mend its permissions or its format.
    BackendNotExecutable,
    /// The engine did not answer a quick question within the runtime's own limit: look after the engine. Nothing is
    /// known about what was asked for.
    BackendUnresponsive,
    /// The engine answered with something that cannot be read: report a bug, with the text.
    InvalidResponse,
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
    /// [`Error::outcome`](crate::Error::outcome) has the code, [`Error::partial`](crate::Error::partial) the output. Only `exit_ok` makes it
    /// ([`ExecResult::exit_ok`](crate::ExecResult::exit_ok)): a non-zero exit is data until the caller says otherwise.
    CommandFailed,
    /// The command's exit status never arrived ([`ExitOutcome::Lost`](crate::ExitOutcome::Lost)): look at what it left before you repeat it. Only
    /// `exit_ok` makes it.
    CommandLost,
    /// The GPU configuration is at fault: [`Error::gpu_config`](crate::Error::gpu_config) has the message and the hint.
    GpuConfig,
    /// What was handed over is right, and something of it may be missing. Whether it is cannot be known any more.
    Incomplete,
    /// The caller's deadline passed; [`Error::kill_report`](crate::Error::kill_report) says what became of the command.
    TimedOut,
    /// The caller cancelled; [`Error::kill_report`](crate::Error::kill_report) says what became of the command.
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
    /// The backend was not compiled in: [`Error::hint`](crate::Error::hint) names the feature.
    FeatureDisabled,
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
            Self::InvalidResponse => "the engine's answer cannot be read",
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
            Self::FeatureDisabled => "not compiled in",
            Self::System => "the system refused",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

word_enum!(@names ErrorKind, "kind of error", {
    InvalidRequest = "invalid-request",
    Unsupported = "unsupported",
    BackendMissing = "backend-missing",
    BackendNotExecutable = "backend-not-executable",
    BackendUnresponsive = "backend-unresponsive",
    InvalidResponse = "invalid-response",
    BackendInterrupted = "backend-interrupted",
    BackendFailed = "backend-failed",
    NoSuchContainer = "no-such-container",
    NotRunning = "not-running",
    Paused = "paused",
    Stopping = "stopping",
    NameInUse = "name-in-use",
    NoSuchImage = "no-such-image",
    RegistryUnreachable = "registry-unreachable",
    RegistryDenied = "registry-denied",
    ImageInUse = "image-in-use",
    PortInUse = "port-in-use",
    NoSuchPath = "no-such-path",
    CommandNotFound = "command-not-found",
    CommandNotExecutable = "command-not-executable",
    BadWorkdir = "bad-workdir",
    UnknownUser = "unknown-user",
    CommandFailed = "command-failed",
    CommandLost = "command-lost",
    GpuConfig = "gpu-config",
    Incomplete = "incomplete",
    TimedOut = "timed-out",
    Cancelled = "cancelled",
    SourceFailed = "source-failed",
    SinkFailed = "sink-failed",
    Unreachable = "unreachable",
    HostKeyMismatch = "host-key-mismatch",
    BadIdentity = "bad-identity",
    AuthenticationRefused = "authentication-refused",
    FeatureDisabled = "feature-disabled",
    System = "system",
});
