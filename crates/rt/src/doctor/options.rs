//! The options of the doctor.

use std::path::PathBuf;

use rt_protocol::Until;

/// The options of [`doctor()`](crate::doctor()).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[cfg_attr(not(feature = "krun"), allow(dead_code, reason = "each area reads what concerns it"))]
pub struct DoctorOptions {
    pub(super) identity: Option<PathBuf>,
    pub(super) until: Until,
}

impl DoctorOptions {
    /// Returns options without an identity, and without a limit beyond those of each check.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also checks this private key, with which the caller connects to krun guests.
    #[must_use]
    pub fn identity(self, file: impl Into<PathBuf>) -> Self {
        Self { identity: Some(file.into()), ..self }
    }

    /// Sets the end of all checks. A check that is not done by then is
    /// [`Unknown`](crate::Verdict::Unknown), and says so.
    #[must_use]
    pub fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }
}
