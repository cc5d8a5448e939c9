//! The errors that every backend reports in the same words: one constructor for each.

use std::borrow::Cow;

use super::Error;
use crate::{Capabilities, ContainerState, ErrorKind, GpuConfigError, InvalidValue, UntilError};

/// # Common errors, for backends
impl Error {
    /// Returns the error of a backend that lacks the capabilities `missing`, and has started
    /// nothing.
    pub fn unsupported(operation: &'static str, missing: Capabilities) -> Self {
        let mut error = Self::new(ErrorKind::Unsupported, operation, format!("this backend lacks {missing}"))
            .with_hint("ask capabilities() first, or use another backend");
        error.0.missing = missing;
        error
    }

    /// Returns the error of a container that cannot serve a call in its state, with the matching
    /// kind and hint.
    pub fn in_state(state: &ContainerState, operation: &'static str) -> Self {
        let (kind, hint) = match state {
            ContainerState::Paused => (ErrorKind::Paused, "unpause it first"),
            ContainerState::Stopping => {
                (ErrorKind::Stopping, "wait until it has stopped, or remove it by force")
            }
            ContainerState::Removing => (ErrorKind::NotRunning, "create it again once it is removed"),
            // It was in another state when the call was rejected.
            ContainerState::Running => (ErrorKind::NotRunning, "ask again"),
            _ => (ErrorKind::NotRunning, "start it first"),
        };
        Self::new(kind, operation, format!("it is {state}")).with_hint(hint)
    }

    /// Returns the error of a call to which the operating system refused a descriptor, a thread or
    /// a process.
    pub fn out_of_resources(operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::System, operation, message)
            .with_hint("see whether this process has run out of descriptors, threads or processes")
    }

    /// Returns the error of a call whose [`Until`](crate::Until) ended.
    pub fn stopped(stop: UntilError, operation: impl Into<Cow<'static, str>>) -> Self {
        match stop {
            UntilError::DeadlineExceeded => Self::new(ErrorKind::TimedOut, operation, "")
                .with_hint("allow more time, or see what it waits for"),
            UntilError::Cancelled => {
                Self::new(ErrorKind::Cancelled, operation, "").with_hint("as the caller's token asked")
            }
        }
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
