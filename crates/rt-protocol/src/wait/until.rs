//! How long a call may take: until a deadline, a cancellation, either, or forever.

use std::fmt;
use std::time::{Duration, Instant};

use crate::CancelToken;

/// A point in time at which waiting ends.
///
/// Every layer passes the deadline on, and not a duration, so all layers share one budget. It uses
/// the monotonic clock, since the wall clock may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline `duration` from now; `None` if the clock cannot represent it.
    pub fn after(duration: Duration) -> Option<Self> {
        Instant::now().checked_add(duration).map(Self)
    }

    /// Returns the deadline at `instant`.
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// Returns the point in time.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// Returns the remaining time; zero if the deadline has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Returns whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Why an [`Until`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UntilError {
    /// The deadline passed.
    DeadlineExceeded,
    /// The token was cancelled.
    Cancelled,
}

impl fmt::Display for UntilError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadlineExceeded => "the deadline passed",
            Self::Cancelled => "it was cancelled",
        })
    }
}

impl std::error::Error for UntilError {}

/// How long a call may take: a deadline, a [`CancelToken`], both, or neither.
///
/// Calls take it by reference. The methods of extension traits also accept a [`Duration`] or an
/// [`Instant`]. When it ends, the call ends its work, and returns
/// [`TimedOut`](crate::ErrorKind::TimedOut) or [`Cancelled`](crate::ErrorKind::Cancelled). Ending a
/// command takes limited extra time: TERM, two seconds, KILL, and a check whether it is gone.
///
/// ```
/// use std::time::Duration;
/// use rt_protocol::{CancelToken, Until};
///
/// let token = CancelToken::new();
/// let until = Until::after(Duration::from_secs(60)).or_cancelled(&token);
/// assert_eq!(until.check(), Ok(()));
/// token.cancel();
/// assert_eq!(until.check(), Err(rt_protocol::UntilError::Cancelled));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Until {
    deadline: Option<Deadline>,
    cancel: Option<CancelToken>,
}

impl Until {
    /// Returns no limit.
    pub fn forever() -> Self {
        Self::default()
    }

    /// Ends `duration` from now. A duration that the clock cannot represent is no limit.
    pub fn after(duration: Duration) -> Self {
        Self { deadline: Deadline::after(duration), cancel: None }
    }

    /// Ends at `deadline`.
    pub fn at(deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), cancel: None }
    }

    /// Ends when `token` is cancelled.
    pub fn cancelled(token: &CancelToken) -> Self {
        Self::forever().or_cancelled(token)
    }

    /// Also ends when `token` is cancelled. It replaces an earlier token. For two tokens, make one
    /// a [child](CancelToken::child) of the other.
    #[must_use]
    pub fn or_cancelled(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Also ends `duration` from now, if that is earlier.
    #[must_use]
    pub fn or_after(mut self, duration: Duration) -> Self {
        if let Some(other) = Deadline::after(duration) {
            self.deadline = Some(self.deadline.map_or(other, |own| own.min(other)));
        }
        self
    }

    /// Ends `limit` from now if it has no deadline: for a default that the caller can override.
    #[must_use]
    pub fn or_default(self, limit: Duration) -> Self {
        if self.deadline.is_some() { self } else { self.or_after(limit) }
    }

    /// Returns the deadline, if there is one.
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// Returns the token, if there is one.
    pub fn cancel_token(&self) -> Option<&CancelToken> {
        self.cancel.as_ref()
    }

    /// Returns the remaining time; `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(Deadline::remaining)
    }

    /// Checks that this has not ended.
    ///
    /// # Errors
    /// Why it has ended. A cancellation is reported before a deadline.
    pub fn check(&self) -> Result<(), UntilError> {
        if self.cancel.as_ref().is_some_and(CancelToken::is_cancelled) {
            Err(UntilError::Cancelled)
        } else if self.deadline.is_some_and(Deadline::has_passed) {
            Err(UntilError::DeadlineExceeded)
        } else {
            Ok(())
        }
    }
}

/// As [`Until::after`].
impl From<Duration> for Until {
    fn from(duration: Duration) -> Self {
        Self::after(duration)
    }
}

/// Ends at this point in time.
impl From<Instant> for Until {
    fn from(instant: Instant) -> Self {
        Self::at(Deadline::at(instant))
    }
}

/// Clones it, for methods that take `impl Into<Until>`.
impl From<&Until> for Until {
    fn from(until: &Until) -> Self {
        until.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_beyond_the_clock_is_no_limit() {
        assert_eq!(Until::after(Duration::MAX), Until::forever());
        assert_eq!(Until::after(Duration::MAX).remaining(), None);
    }

    #[test]
    fn the_earlier_deadline_wins() {
        let long = Duration::from_secs(3600);
        let until = Until::after(Duration::ZERO).or_after(long);
        assert_eq!(until.check(), Err(UntilError::DeadlineExceeded));
        let until = Until::after(long).or_after(Duration::ZERO);
        assert_eq!(until.check(), Err(UntilError::DeadlineExceeded));
    }

    #[test]
    fn a_default_gives_way_to_a_deadline_and_not_to_a_token() {
        let (short, long) = (Duration::ZERO, Duration::from_secs(3600));
        assert_eq!(Until::from(long).or_default(short).check(), Ok(()));
        let token = CancelToken::new();
        let until = Until::cancelled(&token).or_default(short);
        assert_eq!((until.check(), until.cancel_token()), (Err(UntilError::DeadlineExceeded), Some(&token)));
        let now = Instant::now();
        assert_eq!(Until::from(now).deadline(), Some(Deadline::at(now)));
        assert_eq!(Until::from(&until), until);
    }
}
