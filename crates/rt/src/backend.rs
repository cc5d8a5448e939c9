//! The names of the backends.

use std::fmt;
use std::str::FromStr;

use rt_protocol::InvalidValue;

/// The name of a backend, as a configuration file, an option or an environment variable gives it.
///
/// Every variant exists with every set of features, so a name always has the same meaning. Opening
/// a backend that this build does not include is an error that names the feature.
///
/// ```
/// use rt::Backend;
///
/// let backend: Backend = "podman".parse()?;
/// assert_eq!(backend, Backend::Podman);
/// assert_eq!(backend.to_string(), "podman");
/// assert!("docker".parse::<Backend>().is_err());
/// # Ok::<(), rt::InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// podman on this machine.
    Podman,
    /// microVMs: podman manages them, and commands go through SSH.
    Krun,
    /// A backend in this program's memory, which runs nothing.
    Null,
}

impl Backend {
    /// All backends, whether this build includes them or not.
    pub const ALL: &[Self] = &[Self::Podman, Self::Krun, Self::Null];

    /// Returns the name, which is also the name of the cargo feature.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Krun => "krun",
            Self::Null => "null",
        }
    }

    /// Returns whether this build includes the backend.
    pub const fn is_compiled_in(self) -> bool {
        match self {
            Self::Podman => cfg!(feature = "podman"),
            Self::Krun => cfg!(feature = "krun"),
            Self::Null => cfg!(feature = "null"),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses the exact lower-case name.
impl FromStr for Backend {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL
            .iter()
            .copied()
            .find(|backend| backend.as_str() == text)
            .ok_or_else(|| InvalidValue::new("backend", text, "it must be podman, krun or null"))
    }
}

rt_protocol::text_conversions!(Backend);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for backend in Backend::ALL {
            assert_eq!(backend.to_string().parse(), Ok(*backend));
        }
        for refused in ["", "Podman", " podman", "docker"] {
            assert!(refused.parse::<Backend>().is_err(), "{refused}");
        }
    }
}
