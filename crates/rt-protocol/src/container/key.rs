//! The key of a container: its runtime and its name.

use crate::{ContainerName, RuntimeId};

/// Which container of which runtime: what makes two handles equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ContainerKey {
    /// The runtime.
    pub runtime: RuntimeId,
    /// The name within that runtime.
    pub name: ContainerName,
}

impl ContainerKey {
    /// The key of `name` in `runtime`.
    pub fn new(runtime: RuntimeId, name: ContainerName) -> Self {
        Self { runtime, name }
    }
}
