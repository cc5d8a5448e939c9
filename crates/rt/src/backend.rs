//! The names of the backends, compiled in or not.

use std::fmt;
use std::str::FromStr;

use rt_protocol::InvalidValue;

/// Which backend is meant: by a configuration file, an option, an environment variable.
///
/// Every variant is always there, whatever the features: a name keeps its meaning, and opening a backend that was
/// compiled out is an error that names the feature.
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
    /// podman on this host.
    Podman,
    /// microVMs: podman for the lifecycle, SSH for commands.
    Krun,
    /// In this program's memory; runs nothing.
    Null,
}

impl Backend {
    /// All of them, compiled in or not.
    pub const ALL: &[Self] = &[Self::Podman, Self::Krun, Self::Null];

    /// The name, as [`FromStr`] reads it, and of the cargo feature.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Krun => "krun",
            Self::Null => "null",
        }
    }

    /// Whether this build can open it.
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

/// The exact lower-case name.
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
