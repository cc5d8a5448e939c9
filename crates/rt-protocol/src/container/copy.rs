//! The options of copies into and out of a container.

/// Options of [`Container::copy_in`](crate::Container::copy_in) and
/// [`copy_out`](crate::Container::copy_out).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct CopyOptions {
    /// Whether missing parents of the destination are created.
    pub create_parents: bool,
}

impl CopyOptions {
    /// Returns options with which a missing parent is an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates missing parents of the destination.
    #[must_use]
    pub fn create_parents(mut self) -> Self {
        self.create_parents = true;
        self
    }
}
