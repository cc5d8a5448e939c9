//! The login name for a guest's sshd.

use rt_protocol::InvalidValue;

/// The default login name.
pub const DEFAULT_SSH_USER: &str = "dev";

/// The length of the longest accepted name, in bytes.
const MAX_USER_BYTES: usize = 255;

/// A login name: `[A-Za-z_][A-Za-z0-9_.-]*`, at most 255 bytes.
///
/// ```
/// use rt_krun::SshUser;
///
/// assert_eq!(SshUser::default().as_str(), "dev");
/// assert!(SshUser::new("-oProxyCommand=x").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SshUser(String);

impl SshUser {
    /// Checks the name.
    ///
    /// # Errors
    /// A name of any other form.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        let name = name.into();
        let mut bytes = name.bytes();
        let good = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
            && name.len() <= MAX_USER_BYTES;
        if good {
            Ok(Self(name))
        } else {
            Err(InvalidValue::new(
                "SSH user",
                name,
                "it must match [A-Za-z_][A-Za-z0-9_.-]* and have at most 255 bytes",
            ))
        }
    }
}

rt_protocol::checked_text!(SshUser);

/// Returns [`DEFAULT_SSH_USER`].
impl Default for SshUser {
    fn default() -> Self {
        Self(DEFAULT_SSH_USER.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_never_options() {
        for good in ["dev", "root", "_apt", "a.b-c_1"] {
            assert!(SshUser::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-l", "1000", "a b", "a:b", "a@b", "ä", "a\n", ".a", &"a".repeat(256)] {
            assert!(SshUser::new(bad).is_err(), "{bad}");
        }
    }
}
