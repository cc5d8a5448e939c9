//! What one invocation of `ci` asks for.

use super::part::Part;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct CiOptions {
    pub(crate) live: bool,
    /// Empty means all.
    pub(crate) only: Vec<Part>,
}

impl CiOptions {
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
