//! The errors that every backend answers in the same words: one constructor for each.

use std::borrow::Cow;

use super::Error;
use crate::{Capabilities, ContainerState, ErrorKind, GpuConfigError, InvalidValue, UntilError};

impl Error {
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
