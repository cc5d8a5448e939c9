//! A value that no text shows.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// A secret value: a password, a token, a key.
///
/// It has no `Display`, and its `Debug` shows neither the value nor its length. Backends keep it
/// out of argv, logs, spans and errors; the docs of each backend say how. The value is bytes, like
/// any environment value.
///
/// Not promised: the memory is not wiped when the value is dropped. The command itself sees the
/// value, and so does every process that may read the command's memory or `/proc/PID/environ`.
///
/// ```
/// let token = rt_protocol::Secret::new("hunter2");
/// assert_eq!(format!("{token:?}"), "Secret(<redacted>)");
/// assert_eq!(token.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(OsString);

impl Secret {
    /// Wraps the value.
    pub fn new(value: impl Into<OsString>) -> Self {
        Self(value.into())
    }

    /// Returns the value. Review every call of this method.
    pub fn expose(&self) -> &OsStr {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(<redacted>)")
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl From<OsString> for Secret {
    fn from(value: OsString) -> Self {
        Self::new(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_shows_the_value_or_its_length() {
        for value in ["", "x", "hunter2", &"y".repeat(300)] {
            assert_eq!(format!("{:?}", Secret::from(value)), "Secret(<redacted>)");
            assert_eq!(format!("{:#?}", Secret::from(value)), "Secret(<redacted>)");
        }
    }
}
