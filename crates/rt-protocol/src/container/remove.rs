//! What came of removing a container or an image.

use crate::{ContainerName, Error};

/// One container of a [`force_remove`](crate::ContainerRuntime::force_remove).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "it says whether the container is gone"]
pub struct ContainerRemoveResult {
    /// Which container.
    pub name: ContainerName,
    /// Whether it is known to be absent now; one that was already gone counts.
    pub removed: bool,
    /// Why not; only when `removed` is false.
    pub error: Option<Error>,
}

impl ContainerRemoveResult {
    /// It is absent now.
    pub fn removed(name: ContainerName) -> Self {
        Self { name, removed: true, error: None }
    }

    /// It is still there, or nobody knows.
    pub fn failed(name: ContainerName, error: Error) -> Self {
        Self { name, removed: false, error: Some(error) }
    }
}

/// What came of [`Image::remove`](crate::Image::remove).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[must_use = "a refused removal is no error"]
pub enum ImageRemoval {
    /// It is gone, or was not there.
    Removed,
    /// The engine refused, with its reason: a container uses it, say.
    Refused(String),
}
