//! The network of a new container.

use std::fmt;
use std::str::FromStr;

use crate::checked_text;
use crate::{InvalidValue, text_conversions};

/// The network of a new container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// The engine's default.
    #[default]
    Default,
    /// No network but loopback.
    None,
    /// The host's own network. Nothing is isolated.
    Host,
    /// A mode or network in the engine's syntax, such as `slirp4netns:allow_host_loopback=true` or
    /// the name of a network.
    Named(NetworkName),
}

/// Writes the word that [`FromStr`] parses.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::None => "none",
            Self::Host => "host",
            Self::Named(name) => name.as_str(),
        })
    }
}

/// Parses `default`, `none`, `host`, or the name of a network or mode.
impl FromStr for Network {
    type Err = InvalidValue;

    fn from_str(word: &str) -> Result<Self, InvalidValue> {
        Ok(match word {
            "default" => Self::Default,
            "none" => Self::None,
            "host" => Self::Host,
            name => Self::Named(NetworkName::new(name)?),
        })
    }
}

text_conversions!(Network);

/// The name of a network or mode, in the engine's syntax. It begins with a letter or digit, and has
/// no blanks or control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkName(String);

impl NetworkName {
    /// Checks the name.
    ///
    /// # Errors
    /// A name that does not match `[A-Za-z0-9][A-Za-z0-9_.:,=/-]*`, and the words that are variants
    /// of [`Network`]: `default`, `none` and `host`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        let name = name.into();
        let good = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:,=/-".contains(&byte));
        if ["default", "none", "host"].contains(&name.as_str()) {
            Err(InvalidValue::new("network", name, "it is no name: take the variant of `Network`"))
        } else if good {
            Ok(Self(name))
        } else {
            Err(InvalidValue::new("network", name, "it must match [A-Za-z0-9][A-Za-z0-9_.:,=/-]*"))
        }
    }
}

checked_text!(NetworkName);
