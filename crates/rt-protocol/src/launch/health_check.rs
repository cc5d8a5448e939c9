//! The health check of a new container.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::{Argv, InvalidValue};

/// A command that the engine runs in the container again and again. Its exit code 0 means healthy.
///
/// [`ContainerInfo::health`](crate::ContainerInfo::health) has the result. Times that are not set
/// are the engine's own, on podman 30 s, 30 s, 0 s and 3 retries.
///
/// ```
/// use std::time::Duration;
///
/// use rt_protocol::{HealthCheck, LaunchSpec};
///
/// let check = HealthCheck::new(["wget", "-q", "-O-", "http://127.0.0.1/"])?;
/// let spec = LaunchSpec::builder("web-1", "docker.io/library/nginx:1.27")
///     .health_check(check.with_interval(Duration::from_secs(5)))
///     .build()?;
/// assert!(spec.health_check().is_some());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct HealthCheck {
    command: Argv,
    #[cfg_attr(feature = "serde", serde(default))]
    interval: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(default))]
    timeout: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(default))]
    start_period: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(default))]
    retries: Option<NonZeroU32>,
}

impl HealthCheck {
    /// Returns a check by this command, with the engine's times.
    ///
    /// # Errors
    /// As for [`Argv::new`].
    pub fn new<I, S>(command: I) -> Result<Self, InvalidValue>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let command = Argv::new(command)?;
        Ok(Self { command, interval: None, timeout: None, start_period: None, retries: None })
    }

    /// Sets the time between two checks, at least one second.
    #[must_use]
    pub fn with_interval(self, interval: Duration) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// Sets after which time a check counts as failed, at least one second.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Sets how long after the start failed checks do not count.
    #[must_use]
    pub fn with_start_period(self, period: Duration) -> Self {
        Self { start_period: Some(period), ..self }
    }

    /// Sets how many failed checks in a row make the container unhealthy.
    #[must_use]
    pub fn with_retries(self, retries: NonZeroU32) -> Self {
        Self { retries: Some(retries), ..self }
    }

    /// Returns the command.
    pub fn command(&self) -> &Argv {
        &self.command
    }

    /// Returns the time between two checks.
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Returns after which time a check counts as failed.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns how long after the start failed checks do not count.
    pub fn start_period(&self) -> Option<Duration> {
        self.start_period
    }

    /// Returns how many failed checks in a row make the container unhealthy.
    pub fn retries(&self) -> Option<NonZeroU32> {
        self.retries
    }
}
