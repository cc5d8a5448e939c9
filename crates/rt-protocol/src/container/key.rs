//! The key of a container: its runtime and its name.

use crate::{ContainerName, RuntimeId};

/// The runtime and the name of a container. Handles with equal keys are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ContainerKey {
    /// The runtime.
    pub runtime: RuntimeId,
    /// The name in that runtime.
    pub name: ContainerName,
}

impl ContainerKey {
    /// Returns the key of `name` in `runtime`.
    pub fn new(runtime: RuntimeId, name: ContainerName) -> Self {
        Self { runtime, name }
    }
}
