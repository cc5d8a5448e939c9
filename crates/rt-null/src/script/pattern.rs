//! Selects the calls that a handler or fault applies to: containers and command words.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use rt_protocol::{Argv, ContainerName, InvalidValue};

/// The containers that a handler or fault applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(Option<ContainerName>);

impl Scope {
    /// Selects all containers, and calls that concern none.
    pub fn all() -> Self {
        Self(None)
    }

    /// Selects one container.
    ///
    /// # Errors
    /// [`InvalidValue`] if [`ContainerName::new`] refuses the name.
    pub fn container(name: impl AsRef<str>) -> Result<Self, InvalidValue> {
        ContainerName::new(name.as_ref()).map(Self::from)
    }

    pub(crate) fn covers(&self, name: Option<&ContainerName>) -> bool {
        self.0.as_ref().is_none_or(|own| Some(own) == name)
    }

    pub(crate) fn is_for(&self, name: &ContainerName) -> bool {
        self.0.as_ref() == Some(name)
    }
}

impl From<ContainerName> for Scope {
    fn from(name: ContainerName) -> Self {
        Self(Some(name))
    }
}

impl From<&ContainerName> for Scope {
    fn from(name: &ContainerName) -> Self {
        name.clone().into()
    }
}

/// The commands that a handler applies to.
///
/// ```
/// use rt_null::ArgvPattern;
/// use rt_protocol::Argv;
///
/// let argv = Argv::new(["git", "commit", "-m", "x"])?;
/// assert!(ArgvPattern::any().matches(&argv));
/// assert!(ArgvPattern::program("git").matches(&argv));
/// assert!(ArgvPattern::prefix(["git", "commit"]).matches(&argv));
/// assert!(!ArgvPattern::exact(["git", "commit"]).matches(&argv));
/// assert!(ArgvPattern::when(|argv| argv.len() > 2).matches(&argv));
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone)]
pub struct ArgvPattern(Kind);

#[derive(Clone)]
enum Kind {
    Exact(Vec<OsString>),
    Prefix(Vec<OsString>),
    When(Arc<dyn Fn(&Argv) -> bool + Send + Sync>),
}

impl ArgvPattern {
    /// Matches every command.
    pub fn any() -> Self {
        Self(Kind::Prefix(Vec::new()))
    }

    /// Matches every command with this first word.
    pub fn program(program: impl Into<OsString>) -> Self {
        Self(Kind::Prefix(vec![program.into()]))
    }

    /// Matches every command that begins with these words.
    pub fn prefix<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Self(Kind::Prefix(words.into_iter().map(Into::into).collect()))
    }

    /// Matches the command of exactly these words.
    pub fn exact<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Self(Kind::Exact(words.into_iter().map(Into::into).collect()))
    }

    /// Matches every command for which `test` returns true. `test` runs on the thread of the call,
    /// with no lock held.
    pub fn when(test: impl Fn(&Argv) -> bool + Send + Sync + 'static) -> Self {
        Self(Kind::When(Arc::new(test)))
    }

    /// Returns whether the command matches.
    pub fn matches(&self, argv: &Argv) -> bool {
        match &self.0 {
            Kind::Exact(words) => argv.words() == words,
            Kind::Prefix(words) => argv.words().starts_with(words),
            Kind::When(test) => test(argv),
        }
    }
}

impl fmt::Debug for ArgvPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exact(words) => f.debug_tuple("Exact").field(words).finish(),
            Kind::Prefix(words) => f.debug_tuple("Prefix").field(words).finish(),
            Kind::When(_) => f.write_str("When"),
        }
    }
}
