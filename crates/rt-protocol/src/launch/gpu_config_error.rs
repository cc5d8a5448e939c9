//! A launch that failed over its GPU configuration. Who recognises one stands in `rt-gpu`.

/// podman could not start a container because of its GPU configuration.
///
/// Carried by an [`Error`](crate::Error) of kind [`GpuConfig`](crate::ErrorKind::GpuConfig).
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[error("{message}")]
pub struct GpuConfigError {
    message: String,
    hint: String,
}

impl GpuConfigError {
    /// `stderr` is what the engine said, `hint` what to do about it.
    pub fn new(stderr: &str, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let message = format!("the launch failed over its GPU configuration\n{}\n{hint}", stderr.trim_end());
        Self { message, hint }
    }

    /// One sentence, the engine's stderr, and the hint, on lines of their own.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The hint alone.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}
