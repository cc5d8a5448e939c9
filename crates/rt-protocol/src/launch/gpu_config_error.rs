//! The error for a launch that failed because of its GPU configuration. `rt-gpu` recognises such
//! failures.

/// The container could not be started because of its GPU configuration.
///
/// An [`Error`](crate::Error) of kind [`GpuConfig`](crate::ErrorKind::GpuConfig) has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[error("{message}")]
pub struct GpuConfigError {
    message: String,
    hint: String,
}

impl GpuConfigError {
    /// Returns the error for the `stderr` of the engine, with a hint.
    pub fn new(stderr: &str, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let message = format!("the launch failed over its GPU configuration\n{}\n{hint}", stderr.trim_end());
        Self { message, hint }
    }

    /// Returns one sentence, the engine's stderr and the hint, on lines of their own.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the hint alone.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}
