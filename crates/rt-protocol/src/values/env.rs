//! Environment variables: checked names, plain and secret values.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::checked_text;
use crate::{InvalidValue, Secret};

/// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
///
/// This is stricter than `execve`, which accepts all bytes but `=` and NUL. A POSIX shell cannot
/// export other names (POSIX.1-2017, Base Definitions, 8.1), and they could be misread on the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvName(String);

impl EnvName {
    /// Checks the name.
    ///
    /// # Errors
    /// A name that does not match `[A-Za-z_][A-Za-z0-9_]*`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        let name = name.into();
        let mut bytes = name.bytes();
        let good = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if good {
            Ok(Self(name))
        } else {
            Err(InvalidValue::new("environment variable name", name, "it must match [A-Za-z_][A-Za-z0-9_]*"))
        }
    }
}

checked_text!(EnvName);

/// The value of a variable, plain or secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EnvValue {
    /// Argv, logs and errors may show it.
    Plain(OsString),
    /// No argv, log or error shows it.
    Secret(Secret),
}

impl EnvValue {
    /// Returns the value, even if it is secret.
    pub fn expose(&self) -> &OsStr {
        match self {
            Self::Plain(value) => value,
            Self::Secret(secret) => secret.expose(),
        }
    }

    /// Returns whether it is [`EnvValue::Secret`].
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

impl From<&str> for EnvValue {
    fn from(value: &str) -> Self {
        Self::Plain(value.into())
    }
}

impl From<String> for EnvValue {
    fn from(value: String) -> Self {
        Self::Plain(value.into())
    }
}

impl From<OsString> for EnvValue {
    fn from(value: OsString) -> Self {
        Self::Plain(value)
    }
}

impl From<Secret> for EnvValue {
    fn from(value: Secret) -> Self {
        Self::Secret(value)
    }
}

/// Environment variables in the order in which they were first set. A name occurs once; its last
/// value counts.
///
/// ```
/// use rt_protocol::{Env, Secret};
///
/// let mut env = Env::default();
/// env.set("LANG", "C")?;
/// env.set_secret("TOKEN", Secret::new("hunter2"))?;
/// env.set("LANG", "C.UTF-8")?;
/// assert_eq!(env.len(), 2);
/// assert!(!format!("{env:?}").contains("hunter2"));
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Env(Vec<(EnvName, EnvValue)>);

impl Env {
    /// Checks variables and collects them. It is not a `FromIterator`, because it can fail.
    ///
    /// ```
    /// let env = rt_protocol::Env::new([("LANG", "C"), ("TZ", "UTC")])?;
    /// let names: Vec<String> = env.into_iter().map(|(name, _)| name.into()).collect();
    /// assert_eq!(names, ["LANG", "TZ"]);
    /// # Ok::<(), rt_protocol::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// As for [`set`](Self::set).
    pub fn new<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Self, InvalidValue>
    where
        N: Into<String>,
        V: Into<EnvValue>,
    {
        let mut env = Self::default();
        variables.into_iter().try_for_each(|(name, value)| env.insert(name.into(), value.into()))?;
        Ok(env)
    }

    /// Sets a plain variable.
    ///
    /// # Errors
    /// A name that [`EnvName::new`] rejects, or a NUL byte in the value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<OsString>) -> Result<(), InvalidValue> {
        self.insert(name.into(), EnvValue::Plain(value.into()))
    }

    /// Sets a secret variable.
    ///
    /// # Errors
    /// As for [`set`](Self::set). The error does not show the value.
    pub fn set_secret(&mut self, name: impl Into<String>, value: Secret) -> Result<(), InvalidValue> {
        self.insert(name.into(), EnvValue::Secret(value))
    }

    /// Iterates over the variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&EnvName, &EnvValue)> {
        self.into_iter()
    }

    /// Returns the value of a variable; `None` if it is not set.
    pub fn get(&self, name: &str) -> Option<&EnvValue> {
        self.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value)
    }

    /// Returns the number of variables.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no variables.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether any value is secret.
    pub fn has_secrets(&self) -> bool {
        self.0.iter().any(|(_, value)| value.is_secret())
    }

    /// Sets all variables of another set.
    pub(crate) fn set_all(&mut self, other: &Self) -> Result<(), InvalidValue> {
        other.iter().try_for_each(|(name, value)| self.insert(name.to_string(), value.clone()))
    }

    fn insert(&mut self, name: String, value: EnvValue) -> Result<(), InvalidValue> {
        let name = EnvName::new(name)?;
        if value.expose().as_bytes().contains(&0) {
            return Err(InvalidValue::hidden(
                "environment value",
                format!("the value of {name} contains a NUL byte"),
            ));
        }
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
        Ok(())
    }
}

type Variable = (EnvName, EnvValue);

impl IntoIterator for Env {
    type Item = Variable;
    type IntoIter = std::vec::IntoIter<Variable>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Env {
    type Item = (&'a EnvName, &'a EnvValue);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, Variable>, fn(&'a Variable) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_that_is_added_replaces_what_has_its_names() {
        let [mut env, mut more] = [(); 2].map(|()| Env::default());
        env.set("A", "1").unwrap();
        env.set("B", "2").unwrap();
        more.set("B", "3").unwrap();
        more.set_secret("C", Secret::new("4")).unwrap();
        env.set_all(&more).unwrap();
        let pairs: Vec<_> =
            env.iter().map(|(name, value)| (name.as_str(), value.expose().to_str())).collect();
        assert_eq!(pairs, [("A", Some("1")), ("B", Some("3")), ("C", Some("4"))]);
    }

    proptest! {
        #[test]
        fn accepted_names_cannot_be_read_as_anything_else(name in "\\PC{0,8}|[A-Za-z_][A-Za-z0-9_]{0,8}") {
            if let Ok(accepted) = EnvName::new(name.clone()) {
                prop_assert_eq!(accepted.as_str(), &name);
                prop_assert!(!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit() || c == '-'));
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            }
        }

        #[test]
        fn every_well_formed_name_is_accepted(name in "[A-Za-z_][A-Za-z0-9_]{0,40}") {
            prop_assert!(EnvName::new(name).is_ok());
        }
    }

    #[test]
    fn a_refused_secret_value_is_not_shown() {
        let refused = Env::default().set_secret("TOKEN", Secret::new("hunter2\0")).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
        assert!(!format!("{refused:?}").contains("hunter2"));
    }

    #[test]
    fn shell_text_is_no_name() {
        for name in ["X; rm -rf /", "", "1A", "A-B", "A=B", "Ä", "A B", "-e"] {
            assert!(EnvName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_environment_is_what_was_set() {
        let mut env = Env::default();
        assert_eq!((env.is_empty(), env.len(), env.get("A")), (true, 0, None));
        env.set("A", "1").unwrap();
        env.set_secret("B", Secret::new("2")).unwrap();
        assert!(!env.is_empty() && env.len() == 2);
        assert_eq!(
            env.get("A").map(|value| (value.expose(), value.is_secret())),
            Some((OsStr::new("1"), false))
        );
        assert_eq!(
            env.get("B").map(|value| (value.expose(), value.is_secret())),
            Some((OsStr::new("2"), true))
        );
        assert_eq!(env.get("C"), None);
        assert_eq!(EnvName::new("PATH").unwrap().to_string(), "PATH");
    }
}
