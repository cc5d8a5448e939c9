//! The id of a runtime.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The id of a runtime within a process: `podman`, `podman:/srv/store`, `null#3`.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuntimeId(Arc<str>);

impl RuntimeId {
    /// Returns an id. Two runtimes must have the same id if they manage the same containers, and
    /// different ids otherwise.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(Arc::from(id.as_ref()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for RuntimeId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Every text is a valid id.
impl From<&str> for RuntimeId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for RuntimeId {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}

impl FromStr for RuntimeId {
    type Err = Infallible;

    fn from_str(id: &str) -> Result<Self, Infallible> {
        Ok(Self::new(id))
    }
}
