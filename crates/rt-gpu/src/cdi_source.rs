//! The directories that an engine reads CDI specs from, and the newest version that it accepts.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use rt_protocol::InvalidValue;

/// A version of the Container Device Interface: the `cdiVersion` of a spec. Ordered numerically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CdiVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl CdiVersion {
    /// The newest version known to this crate.
    pub const NEWEST: Self = Self::new(1, 1, 0);

    /// All released versions. Engines reject any other version, even an older one.
    pub const RELEASED: [Self; 10] = [
        Self::new(0, 1, 0),
        Self::new(0, 2, 0),
        Self::new(0, 3, 0),
        Self::new(0, 4, 0),
        Self::new(0, 5, 0),
        Self::new(0, 6, 0),
        Self::new(0, 7, 0),
        Self::new(0, 8, 0),
        Self::new(1, 0, 0),
        Self::NEWEST,
    ];

    /// Creates a version from its numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl FromStr for CdiVersion {
    type Err = InvalidValue;

    /// Parses three numbers separated by dots, with an optional leading `v`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.').map(|number| {
            // `parse` would accept a sign.
            number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()
        });
        match [numbers.next(), numbers.next(), numbers.next(), numbers.next()] {
            [Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None] => {
                Ok(Self::new(major, minor, patch))
            }
            _ => Err(InvalidValue::new("CDI version", text, "it is three numbers, such as 0.5.0")),
        }
    }
}

rt_protocol::text_conversions!(CdiVersion);

impl fmt::Display for CdiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The directories that an engine reads CDI specs from, and the newest version that it accepts.
///
/// The default is the one of the specification: `/etc/cdi` and `/var/run/cdi`, and every known
/// version. What podman reads depends on its version; `rt-podman` knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CdiSource {
    dirs: Vec<PathBuf>,
    newest: CdiVersion,
}

impl CdiSource {
    /// Creates a source from directories, lowest priority first, and the newest accepted version.
    pub fn new<P: Into<PathBuf>>(dirs: impl IntoIterator<Item = P>, newest: CdiVersion) -> Self {
        Self { dirs: dirs.into_iter().map(Into::into).collect(), newest }
    }

    /// Returns the directories, lowest priority first.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Returns the highest `cdiVersion` that is accepted.
    pub fn newest(&self) -> CdiVersion {
        self.newest
    }
}

impl Default for CdiSource {
    fn default() -> Self {
        Self::new(["/etc/cdi", "/var/run/cdi"], CdiVersion::NEWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers_and_ordered_by_them() {
        for text in ["0.5.0", "v0.5.0"] {
            assert_eq!(text.parse::<CdiVersion>().unwrap(), CdiVersion::new(0, 5, 0));
        }
        for text in ["", "0.5", "0.5.0.1", "0.5.x", "0.+5.0", "0.5.0-rc1", "..", "vv0.5.0", "99999999999.0.0"]
        {
            assert!(text.parse::<CdiVersion>().is_err(), "{text}");
        }
        assert!(CdiVersion::RELEASED.is_sorted());
        assert_eq!(CdiVersion::new(0, 10, 0).to_string(), "0.10.0");
    }
}
