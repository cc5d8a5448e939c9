//! What the doctor is told beforehand.

use std::path::PathBuf;

use rt_protocol::Until;

/// What [`doctor()`](crate::doctor()) is told beforehand.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[cfg_attr(not(feature = "krun"), allow(dead_code, reason = "each area reads what concerns it"))]
pub struct DoctorOptions {
    pub(super) identity: Option<PathBuf>,
    pub(super) until: Until,
}

impl DoctorOptions {
    /// No identity, and no limit beyond that of each check.
    pub fn new() -> Self {
        Self::default()
    }

    /// The private key with which krun guests are to be entered, to be looked at too.
    #[must_use]
    pub fn identity(self, file: impl Into<PathBuf>) -> Self {
        Self { identity: Some(file.into()), ..self }
    }

    /// When to be done. What was not looked at by then is [`Unknown`](crate::Verdict::Unknown), and says so.
    #[must_use]
    pub fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }
}
