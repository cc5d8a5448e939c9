//! The error type of the contract, by what the caller can do next.

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

/// The result of a call that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of every backend: what failed, why, and what is left of the command.
///
/// Branch on [`kind`](Self::kind), and show the text to people. It names the operation, the
/// container or image, the cause and a hint, but no secret. For a command,
/// [`kill_report`](Self::kill_report) and [`partial`](Self::partial) say what is left of it, and
/// [`never_started`](Self::never_started) whether a retry is safe. An error has the size of a
/// pointer.
///
/// ```
/// use rt_protocol::{ContainerName, Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotRunning, "exec in", "it is exited")
///     .in_container(&ContainerName::new("web")?)
///     .with_hint("start it first");
/// let text = "exec in container `web`: not running: it is exited (start it first)";
/// assert_eq!(error.to_string(), text);
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

/// # What an error says
impl Error {
    /// Returns the kind, which says what the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed, as a verb phrase: "exec in".
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// Returns the subject of the operation: "container `web`".
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// Returns the cause as text, without operation, subject and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the hint, as an imperative fragment.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref().or_else(|| self.gpu_config().map(GpuConfigError::hint))
    }

    /// Returns what the backend lacks, for [`ErrorKind::Unsupported`]; otherwise empty.
    pub fn missing(&self) -> Capabilities {
        self.0.missing
    }

    /// Returns the result of ending the command, if it was ended.
    pub fn kill_report(&self) -> Option<&KillReport> {
        self.0.kill_report.as_ref()
    }

    /// Returns the output that arrived before the error.
    pub fn partial(&self) -> Option<&PartialOutput> {
        self.0.partial.as_ref()
    }

    /// Returns how the command ended, for [`ErrorKind::CommandFailed`] and
    /// [`ErrorKind::CommandLost`].
    pub fn outcome(&self) -> Option<&ExitOutcome> {
        self.0.outcome.as_ref()
    }

    /// Returns the message and hint of a GPU failure, for [`ErrorKind::GpuConfig`].
    pub fn gpu_config(&self) -> Option<&GpuConfigError> {
        self.0.gpu.as_ref()
    }

    /// Returns whether the command certainly never ran, so that a retry cannot run it twice.
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

/// # Building an error, for backends
impl Error {
    /// Returns an error of this kind.
    ///
    /// `operation` is a verb phrase that reads well before the subject ("exec in", "start", "list
    /// containers"). `message` is a lower-case fragment without a final full stop, or empty.
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

    /// Sets the container as the subject.
    #[must_use]
    pub fn in_container(self, name: &ContainerName) -> Self {
        self.with_subject(format!("container `{name}`"))
    }

    /// Sets the image as the subject.
    #[must_use]
    pub fn of_image(self, reference: &ImageRef) -> Self {
        self.with_subject(format!("image `{reference}`"))
    }

    /// Sets any other subject, such as "path `/x`".
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = Some(subject.into());
        self
    }

    /// Sets the hint: what to do, as an imperative fragment.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets the result of ending the command.
    #[must_use]
    pub fn with_kill_report(mut self, report: KillReport) -> Self {
        self.0.kill_report = Some(report);
        self
    }

    /// Sets the output that arrived before the error.
    #[must_use]
    pub fn with_partial(mut self, partial: PartialOutput) -> Self {
        self.0.partial = Some(partial);
        self
    }

    /// Sets how the command ended.
    #[must_use]
    pub fn with_outcome(mut self, outcome: ExitOutcome) -> Self {
        self.0.outcome = Some(outcome);
        self
    }

    /// Sets the cause. The message must not repeat its text.
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
