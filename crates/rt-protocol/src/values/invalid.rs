//! The error of every checked value. The rules themselves are with the values.

use std::ffi::OsStr;
use std::fmt;

/// An invalid value, rejected before anything started.
///
/// It converts into an [`Error`](crate::Error) of kind
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), so `?` works in functions that return
/// [`Result`](crate::Result).
///
/// ```
/// use rt_protocol::ContainerName;
///
/// let refused = ContainerName::new("-a").unwrap_err();
/// assert_eq!(refused.what(), "container name");
/// assert!(refused.to_string().contains("\"-a\""));
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {shown}: {reason}")]
pub struct InvalidValue {
    what: &'static str,
    shown: String,
    reason: String,
}

/// How many characters of an invalid value a message shows.
const MAX_SHOWN_CHARS: usize = 60;

impl InvalidValue {
    /// Returns the error for `value`. `what` is the kind of value ("container name"), and `reason`
    /// completes the sentence "invalid container name "x": …". The value is shown escaped and
    /// shortened.
    pub fn new(what: &'static str, value: impl AsRef<OsStr>, reason: impl Into<String>) -> Self {
        let text = value.as_ref().to_string_lossy();
        let mut shown = format!("{:?}", text.chars().take(MAX_SHOWN_CHARS).collect::<String>());
        if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
            shown.push('…');
        }
        Self { what, shown, reason: reason.into() }
    }

    /// Returns the error for a value that must not be shown, such as a secret.
    pub fn hidden(what: &'static str, reason: impl Into<String>) -> Self {
        Self { what, shown: String::from("<hidden>"), reason: reason.into() }
    }

    /// Returns the kind of value: "container name", "argv".
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Returns why the value is invalid. It reads well after "invalid container name: ".
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Debug for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidValue({self})")
    }
}
