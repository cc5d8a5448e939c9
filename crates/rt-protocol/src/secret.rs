//! A value that no text shows.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// A secret value: the password, the token, the key.
///
/// It has no `Display`, and its `Debug` shows neither the value nor its length. Backends carry it past argv, logs,
/// spans and errors; how, stands in the documentation of each backend. The value is bytes, as an environment value is.
///
/// What is not promised: the memory is not wiped when the value is dropped, and the command itself, as well as anyone
/// who may read that command's memory or `/proc/PID/environ`, sees the value.
///
/// ```
/// let token = rt_protocol::Secret::new("hunter2");
/// assert_eq!(format!("{token:?}"), "Secret(<redacted>)");
/// assert_eq!(token.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(OsString);

impl Secret {
    /// Takes the value over.
    pub fn new(value: impl Into<OsString>) -> Self {
        Self(value.into())
    }

    /// The value in the clear. Every call of this is a place to read twice.
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
