//! The network of a new container.

use crate::InvalidValue;

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
    /// A mode or network in the engine's words, such as `slirp4netns:allow_host_loopback=true` or the name of a network.
    Named(NetworkName),
}

/// The name of a network or mode, in the engine's words: begins with a letter or digit, no blanks, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkName(String);

impl NetworkName {
    /// Checks the name.
    ///
    /// # Errors
    /// Anything outside `[A-Za-z0-9][A-Za-z0-9_.:,=/-]*`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        let name = name.into();
        let good = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:,=/-".contains(&byte));
        if good {
            Ok(Self(name))
        } else {
            Err(InvalidValue::new("network", name, "it must match [A-Za-z0-9][A-Za-z0-9_.:,=/-]*"))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_never_an_option() {
        for bad in ["", "-x", "a b", "a\n"] {
            assert!(NetworkName::new(bad).is_err(), "{bad}");
        }
        assert!(NetworkName::new("pasta:--map-host-loopback,169.254.1.2").is_ok());
    }
}
