//! Images, as far as a program that runs containers needs them.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::SystemTime;

use crate::{Capabilities, Capability, Error, ImageId, ImageRef, ImageRemoval, Result, RuntimeId, Until};

/// A handle on an image; asking for one asks nothing.
///
/// Backends implement [`reference`](Self::reference) and [`inspect`](Self::inspect). The four facts that a listing
/// brings along ([`ContainerRuntime::images`](crate::ContainerRuntime::images)) are `None` on a bare handle.
///
/// Two handles are [equal](#impl-PartialEq-for-dyn+Image) when they ask the same question: when runtime and reference are
/// the same. A reference is compared as it is written, so handles that are not equal may be on one image: on a name and an
/// id, on `alpine` and `docker.io/library/alpine:latest`. Whether two are one image, their [ids](ImageExt::id) tell.
pub trait Image: fmt::Debug + Send + Sync {
    /// What it was asked for by; from a listing, its full id.
    fn reference(&self) -> &ImageRef;

    /// The handle that this one wraps, as for [`Container::inner`](crate::Container::inner): what a wrapper does not write asks
    /// it. `None` for a backend's own.
    fn inner(&self) -> Option<&dyn Image> {
        None
    }

    /// Which runtime is asked. The default is `None`: a handle of a runtime that does not say. Two of those are equal when
    /// their references are.
    fn runtime_id(&self) -> Option<&RuntimeId> {
        self.inner()?.runtime_id()
    }

    /// What the engine knows of it: `Ok(None)` is absent.
    ///
    /// # Errors
    /// When the engine could not be asked.
    fn inspect(&self, until: &Until) -> Result<Option<ImageInfo>>;

    /// What created each layer, newest first, untruncated; `None` when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Self::inspect); [`Unsupported`](crate::ErrorKind::Unsupported) unless the backend has it.
    fn history(&self, until: &Until) -> Result<Option<Vec<String>>> {
        if let Some(inner) = self.inner() {
            return inner.history(until);
        }
        Err(Error::unsupported("read the history of", Capabilities::none().with(Capability::ImageHistory))
            .of_image(self.reference()))
    }

    /// Removes it, never by force: an image in use stays.
    ///
    /// # Errors
    /// When the engine could not be asked; [`Unsupported`](crate::ErrorKind::Unsupported) unless the backend has it.
    fn remove(&self, until: &Until) -> Result<ImageRemoval> {
        if let Some(inner) = self.inner() {
            return inner.remove(until);
        }
        Err(Error::unsupported("remove", Capabilities::none().with(Capability::ImageRemove))
            .of_image(self.reference()))
    }

    /// Its repository, from a listing.
    fn repository(&self) -> Option<&str> {
        self.inner()?.repository()
    }

    /// Its tag, from a listing.
    fn tag(&self) -> Option<&str> {
        self.inner()?.tag()
    }

    /// Its size in bytes, from a listing.
    fn size(&self) -> Option<u64> {
        self.inner()?.size()
    }

    /// When it was made, from a listing.
    fn created(&self) -> Option<SystemTime> {
        self.inner()?.created()
    }
}

/// Single facts of an image, each from one [`inspect`](Image::inspect), and failing as that does.
pub trait ImageExt: Image {
    /// Returns its full id; `None` when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Image::inspect).
    fn id(&self, until: impl Into<Until>) -> Result<Option<ImageId>> {
        Ok(self.inspect(&until.into())?.map(|info| info.id))
    }

    /// Returns whether it is there.
    ///
    /// # Errors
    /// As for [`inspect`](Image::inspect).
    fn exists(&self, until: impl Into<Until>) -> Result<bool> {
        Ok(self.inspect(&until.into())?.is_some())
    }

    /// Returns its labels; `None` when absent, empty when it has none.
    ///
    /// # Errors
    /// As for [`inspect`](Image::inspect).
    fn labels(&self, until: impl Into<Until>) -> Result<Option<BTreeMap<String, String>>> {
        Ok(self.inspect(&until.into())?.map(|info| info.labels))
    }
}

impl<I: Image + ?Sized> ImageExt for I {}

impl PartialEq for dyn Image + '_ {
    fn eq(&self, other: &Self) -> bool {
        (self.runtime_id(), self.reference()) == (other.runtime_id(), other.reference())
    }
}

impl Eq for dyn Image + '_ {}

impl Hash for dyn Image + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.runtime_id(), self.reference()).hash(state);
    }
}

/// What an engine knows of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ImageInfo {
    /// Its full id.
    pub id: ImageId,
    /// Its names.
    #[cfg_attr(feature = "serde", serde(default))]
    pub names: Vec<String>,
    /// Its labels.
    #[cfg_attr(feature = "serde", serde(default))]
    pub labels: BTreeMap<String, String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// When it was made.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub created: Option<SystemTime>,
}

impl ImageInfo {
    /// The least that is known of any image; the other fields are empty.
    pub fn new(id: ImageId) -> Self {
        Self { id, names: Vec::new(), labels: BTreeMap::new(), size: None, created: None }
    }
}

/// Which images are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct ImageFilter {
    /// Only images without a name (`<none>:<none>`).
    pub dangling: bool,
}

impl ImageFilter {
    /// All images.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only images without a name.
    pub fn dangling() -> Self {
        Self { dangling: true }
    }
}
