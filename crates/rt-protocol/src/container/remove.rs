//! The results of removing containers and images.

use crate::{ContainerName, Error};

/// The result for one container of a [`force_remove`](crate::ContainerRuntime::force_remove).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "it says whether the container is gone"]
pub struct ContainerRemoveResult {
    /// The container.
    pub name: ContainerName,
    /// Whether the container is known to be absent now. True also if it did not exist before.
    pub removed: bool,
    /// Why the container was not removed; `None` if `removed` is true.
    pub error: Option<Error>,
}

impl ContainerRemoveResult {
    /// Returns the result for a container that is absent now.
    pub fn removed(name: ContainerName) -> Self {
        Self { name, removed: true, error: None }
    }

    /// Returns the result for a container that still exists, or may exist.
    pub fn failed(name: ContainerName, error: Error) -> Self {
        Self { name, removed: false, error: Some(error) }
    }
}

/// The result of [`Image::remove`](crate::Image::remove).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[must_use = "a refused removal is no error"]
pub enum ImageRemoval {
    /// The image does not exist any more, or never existed.
    Removed,
    /// The engine refused and gave this reason, such as a container that uses the image.
    Refused(String),
}
