//! Which calls a handler or fault is meant for: containers and command words.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use rt_protocol::{Argv, ContainerName, InvalidValue};

/// The containers that a handler or fault is meant for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(Option<ContainerName>);

impl Scope {
    /// All containers, and calls that are about none.
    pub fn all() -> Self {
        Self(None)
    }

    /// One container.
    ///
    /// # Errors
    /// A name that [`ContainerName::new`] refuses.
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

/// The commands that a handler is meant for.
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
    /// Every command.
    pub fn any() -> Self {
        Self(Kind::Prefix(Vec::new()))
    }

    /// Every command whose first word is this.
    pub fn program(program: impl Into<OsString>) -> Self {
        Self(Kind::Prefix(vec![program.into()]))
    }

    /// Every command that begins with these words.
    pub fn prefix<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Self(Kind::Prefix(words.into_iter().map(Into::into).collect()))
    }

    /// The command of exactly these words.
    pub fn exact<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Self(Kind::Exact(words.into_iter().map(Into::into).collect()))
    }

    /// Every command for which `test` answers true. It is called without any lock held, from the thread of the call.
    pub fn when(test: impl Fn(&Argv) -> bool + Send + Sync + 'static) -> Self {
        Self(Kind::When(Arc::new(test)))
    }

    /// Whether the command is meant.
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
