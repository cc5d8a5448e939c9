//! Checked names: of containers, of name prefixes, and of users.

use crate::InvalidValue;
use crate::checked_text;

/// The longest valid name, in bytes. podman has no limit of its own; a name must fit a file name
/// and a log line.
const MAX_NAME_BYTES: usize = 255;

/// Returns whether `text` begins with a byte that `first` accepts, and continues with
/// `[a-zA-Z0-9_.-]*`.
fn is_identifier(text: &str, first: impl Fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(first)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

pub(crate) fn check_name(what: &'static str, text: String) -> Result<String, InvalidValue> {
    let text = check_syntax(what, text)?;
    if text.len() > MAX_NAME_BYTES {
        return Err(InvalidValue::new(what, text, format!("it is longer than {MAX_NAME_BYTES} bytes")));
    }
    Ok(text)
}

/// Checks podman's own rule for names.
fn check_syntax(what: &'static str, text: String) -> Result<String, InvalidValue> {
    if is_identifier(&text, |first| first.is_ascii_alphanumeric()) {
        Ok(text)
    } else {
        Err(InvalidValue::new(what, text, "it must match [a-zA-Z0-9][a-zA-Z0-9_.-]*"))
    }
}

/// The name of a container: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255 bytes.
///
/// It is never an id. Some engines also accept a prefix of an id as a name. Their backends look
/// such a name up first, so `422c` is the container of that name or none.
///
/// ```
/// use rt_protocol::ContainerName;
///
/// assert!(ContainerName::new("web-1").is_ok());
/// for refused in ["", "-a", "a b", "a:b", "../x", "naïve"] {
///     assert!(ContainerName::new(refused).is_err());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerName(String);

impl ContainerName {
    /// Checks the name.
    ///
    /// # Errors
    /// A name that does not match `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, or has more than 255 bytes.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        check_name("container name", name.into()).map(Self)
    }

    /// Checks the name of an existing container, as an engine reports it; for backends. It has the
    /// same form, and may be as long as the engine allows (podman: as a command line allows).
    ///
    /// # Errors
    /// A name that does not match `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    pub fn of_existing(name: impl Into<String>) -> Result<Self, InvalidValue> {
        check_syntax("container name", name.into()).map(Self)
    }

    /// Returns whether the name consists of hexadecimal digits only, so that an engine could read
    /// it as an id.
    pub fn looks_like_id(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

checked_text!(ContainerName);

/// The common prefix of container names: `p` stands for all names that begin with `p-`.
///
/// ```
/// use rt_protocol::{ContainerName, NamePrefix};
///
/// let prefix = NamePrefix::new("proj")?;
/// assert!(prefix.matches(&ContainerName::new("proj-web")?));
/// assert!(!prefix.matches(&ContainerName::new("proj2-web")?));
/// assert!(!prefix.matches(&ContainerName::new("proj")?));
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamePrefix(String);

impl NamePrefix {
    /// Checks the prefix, which is given without the dash.
    ///
    /// # Errors
    /// As for [`ContainerName::new`].
    pub fn new(prefix: impl Into<String>) -> Result<Self, InvalidValue> {
        check_name("name prefix", prefix.into()).map(Self)
    }

    /// Returns whether `name` begins with this prefix and a dash.
    pub fn matches(&self, name: &ContainerName) -> bool {
        self.matches_text(name.as_str())
    }

    /// Returns what [`matches`](Self::matches) returns, for a name of an engine that was not
    /// checked.
    pub fn matches_text(&self, name: &str) -> bool {
        name.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('-'))
    }
}

checked_text!(NamePrefix);

/// The user of a command in a container: a name or number, optionally with `:` and a group.
///
/// Each part matches `[A-Za-z0-9_][A-Za-z0-9_.-]*`. Whether the user exists is only known when the
/// command starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct User(String);

impl User {
    /// Checks the form.
    ///
    /// # Errors
    /// A text that is not `USER` or `USER:GROUP` of the form above, or has more than 255 bytes.
    pub fn new(user: impl Into<String>) -> Result<Self, InvalidValue> {
        let user = user.into();
        let part = |text: &str| is_identifier(text, |first| first.is_ascii_alphanumeric() || first == b'_');
        let (name, group) = match user.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (user.as_str(), None),
        };
        if user.len() > MAX_NAME_BYTES || !part(name) || !group.is_none_or(part) {
            return Err(InvalidValue::new(
                "user",
                user,
                "it must be USER or USER:GROUP, each matching [A-Za-z0-9_][A-Za-z0-9_.-]*",
            ));
        }
        Ok(Self(user))
    }
}

checked_text!(User);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_accepted_name_is_an_option_a_path_or_a_shell_word(
            text in "\\PC{0,12}|[-a-zA-Z0-9_.:/ $;]{0,12}"
        ) {
            if let Ok(name) = ContainerName::new(text.clone()) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.starts_with(|c: char| c.is_ascii_alphanumeric()));
                prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)));
            }
            if let Ok(user) = User::new(text.clone()) {
                prop_assert!(!user.as_str().starts_with(['-', '.', ':']));
                prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-:".contains(c)));
            }
        }

        #[test]
        fn every_podman_name_is_accepted(text in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,60}") {
            prop_assert!(ContainerName::new(text.clone()).is_ok());
            prop_assert!(NamePrefix::new(text).is_ok());
        }

        #[test]
        fn a_prefix_matches_only_names_that_continue_with_a_dash(
            prefix in "[a-z][a-z.]{0,4}", rest in "[a-z0-9.-]{0,6}"
        ) {
            let family = NamePrefix::new(prefix.clone()).unwrap();
            let name = ContainerName::new(format!("{prefix}{rest}")).unwrap();
            prop_assert_eq!(family.matches(&name), rest.starts_with('-'));
        }
    }

    #[test]
    fn a_name_is_at_most_255_bytes_unless_an_engine_has_it_already() {
        let (longest, longer) = ("a".repeat(255), "a".repeat(256));
        assert!(ContainerName::new(longest.as_str()).is_ok() && NamePrefix::new(longest.as_str()).is_ok());
        assert!(User::new(longest.as_str()).is_ok() && User::new(longer.as_str()).is_err());
        assert!(ContainerName::new(longer.as_str()).is_err() && NamePrefix::new(longer.as_str()).is_err());
        assert_eq!(ContainerName::of_existing(longer.as_str()).unwrap().as_str(), longer);
        for bad in ["", "-a", "a b", "a\n", "a/b"] {
            assert!(ContainerName::of_existing(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn users_and_groups() {
        for good in ["root", "1000", "1000:1000", "_apt", "_", "dev:staff", "a.b-c"] {
            assert!(User::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-u", ":", "a:", ":b", "a:b:c", "a b", "a\n", ".a", "ä"] {
            assert!(User::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_of_hexadecimal_digits_looks_like_an_id() {
        assert!(ContainerName::new("422c").unwrap().looks_like_id());
        assert!(!ContainerName::new("422c-x").unwrap().looks_like_id());
    }
}
