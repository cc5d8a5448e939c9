//! The one error type of the contract, sorted by what the caller can do next.

mod command;
mod constructors;
mod display;
pub(crate) mod kind;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

use crate::{
    Capabilities, ContainerName, ErrorKind, ExitOutcome, GpuConfigError, ImageRef, KillOutcome, KillReport,
    PartialOutput,
};

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and what is left of the command.
///
/// Eight bytes, cheap to clone, and the same type from every backend. Branch on [`kind`](Self::kind); show the text to a
/// person: it names the operation, the container or image, the cause and the hint, and no secret.
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Error(Box<Inner>);

#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    subject: Option<String>,
    message: String,
    hint: Option<Cow<'static, str>>,
    #[cfg_attr(feature = "serde", serde(default))]
    missing: Capabilities,
    kill_report: Option<KillReport>,
    partial: Option<PartialOutput>,
    outcome: Option<ExitOutcome>,
    gpu: Option<GpuConfigError>,
    #[cfg_attr(feature = "serde", serde(default, rename = "causes", with = "crate::serialized::cause"))]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. `operation` is a verb phrase that reads well before the subject ("exec in", "start", "list
    /// containers"); `message` is a lower-case fragment without a final stop, or empty.
    pub fn new(kind: ErrorKind, operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
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

    /// Names the container.
    #[must_use]
    pub fn in_container(self, name: &ContainerName) -> Self {
        self.with_subject(format!("container `{name}`"))
    }

    /// Names the image.
    #[must_use]
    pub fn of_image(self, reference: &ImageRef) -> Self {
        self.with_subject(format!("image `{reference}`"))
    }

    /// Names any other subject: "path `/x`".
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = Some(subject.into());
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
    pub fn with_partial(mut self, partial: PartialOutput) -> Self {
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
    pub fn during(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        self.0.operation = operation.into();
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, as a verb phrase: "exec in".
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What it was about, in words: "container `web`".
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// The cause in words, without operation, subject and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The hint, as an imperative fragment.
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
    pub fn partial(&self) -> Option<&PartialOutput> {
        self.0.partial.as_ref()
    }

    /// How the command ended, for [`ErrorKind::CommandFailed`] and [`ErrorKind::CommandLost`].
    pub fn outcome(&self) -> Option<&ExitOutcome> {
        self.0.outcome.as_ref()
    }

    /// Message and hint of a GPU failure, for [`ErrorKind::GpuConfig`].
    pub fn gpu_config(&self) -> Option<&GpuConfigError> {
        self.0.gpu.as_ref()
    }

    /// Whether the command certainly never ran, so that sending it again cannot run it twice.
    pub fn never_started(&self) -> bool {
        match &self.0.kill_report {
            Some(report) => report.outcome == KillOutcome::NeverStarted,
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
                    | ErrorKind::FeatureDisabled
            ),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::UntilError;

    #[test]
    fn an_error_is_eight_bytes_and_crosses_threads() {
        fn crosses<T: Send + Sync + Clone + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_text_names_operation_container_cause_fate_and_hint() {
        let name = ContainerName::new("web").unwrap();
        let error = Error::stopped(UntilError::DeadlineExceeded, "exec in")
            .in_container(&name)
            .with_kill_report(KillReport::new(KillOutcome::Gone, 2, Vec::new(), Duration::from_secs(1)))
            .with_hint("give it more time");
        assert_eq!(
            error.to_string(),
            "exec in container `web`: timed out; the command and its children are gone (give it more time)"
        );
    }

    #[test]
    fn only_a_certain_never_started_may_be_retried_blindly() {
        let stopped = |outcome| {
            Error::stopped(UntilError::Cancelled, "exec in").with_kill_report(KillReport::new(
                outcome,
                0,
                vec![],
                Duration::ZERO,
            ))
        };
        assert!(stopped(KillOutcome::NeverStarted).never_started());
        assert!(!stopped(KillOutcome::Gone).never_started());
        assert!(!stopped(KillOutcome::Unknown("x".into())).never_started());
        assert!(Error::new(ErrorKind::CommandNotFound, "exec in", "").never_started());
        assert!(!Error::new(ErrorKind::BackendUnresponsive, "exec in", "").never_started());
    }
}
