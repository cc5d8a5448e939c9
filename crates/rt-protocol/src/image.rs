//! Images, as far as a program that runs containers needs them.

pub(crate) mod pull_options;
pub(crate) mod pull_progress;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::SystemTime;

use crate::{Capability, Error, ImageId, ImageRef, ImageRemoval, Result, RuntimeId, Until};

/// A handle on an image. Creating one performs no I/O.
///
/// [`reference`](Self::reference) and [`inspect`](Self::inspect) are required. Repository, tag,
/// size and creation time are known on handles of a listing
/// ([`ContainerRuntime::images`](crate::ContainerRuntime::images)), and `None` on others.
///
/// Two handles are [equal](#impl-PartialEq-for-dyn+Image) if their runtimes and references are.
/// References are compared as text, so unequal handles may refer to one image: by name and by id,
/// or as `alpine` and `docker.io/library/alpine:latest`. To find out, compare the
/// [ids](ImageExt::id).
pub trait Image: fmt::Debug + Send + Sync {
    /// Returns the reference of the handle; on a handle of a listing, the full id.
    fn reference(&self) -> &ImageRef;

    /// Returns the handle that this one wraps, as [`Container::inner`](crate::Container::inner)
    /// does; `None` for a backend's own handle. The defaults call it.
    fn inner(&self) -> Option<&dyn Image> {
        None
    }

    /// Returns the id of the runtime; `None` if the handle does not know it.
    fn runtime_id(&self) -> Option<&RuntimeId> {
        self.inner()?.runtime_id()
    }

    /// Returns what the engine knows about the image; `None` if it does not exist.
    ///
    /// ```
    /// # use rt_null::{ImageFixture, NullRuntime};
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # runtime.add_image(ImageFixture::new("docker.io/library/alpine:3.20")?);
    /// let image = runtime.image(&ImageRef::new("docker.io/library/alpine:3.20")?);
    /// if let Some(info) = image.inspect(&until)? {
    ///     println!("{} has {:?} bytes", info.id, info.size);
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](crate::Container#engine-errors);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Capability::Images`].
    fn inspect(&self, until: &Until) -> Result<Option<ImageInfo>>;

    /// Returns what created each layer, newest first and not shortened; `None` if the image does
    /// not exist.
    ///
    /// # Errors
    /// [Engine errors](crate::Container#engine-errors);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Capability::ImageHistory`].
    fn history(&self, until: &Until) -> Result<Option<Vec<String>>> {
        inner_for(self, "read the history of", Capability::ImageHistory)?.history(until)
    }

    /// Removes the image, never by force: an image in use stays.
    ///
    /// ```
    /// # use rt_null::{ImageFixture, NullRuntime};
    /// # use rt_protocol::*;
    /// # let (runtime, until) = (NullRuntime::new(), Until::forever());
    /// # runtime.add_image(ImageFixture::new("localhost/old")?);
    /// let image = runtime.image(&ImageRef::new("localhost/old")?);
    /// match image.remove(&until)? {
    ///     ImageRemoval::Removed => println!("removed"),
    ///     ImageRemoval::Refused(reason) => println!("not removed: {reason}"),
    ///     _ => unreachable!("no other result is known"),
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](crate::Container#engine-errors);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Capability::ImageRemove`].
    fn remove(&self, until: &Until) -> Result<ImageRemoval> {
        inner_for(self, "remove", Capability::ImageRemove)?.remove(until)
    }

    /// Returns its repository, on a handle of a listing.
    fn repository(&self) -> Option<&str> {
        self.inner()?.repository()
    }

    /// Returns its tag, on a handle of a listing.
    fn tag(&self) -> Option<&str> {
        self.inner()?.tag()
    }

    /// Returns its size in bytes, on a handle of a listing.
    fn size(&self) -> Option<u64> {
        self.inner()?.size()
    }

    /// Returns when it was created, on a handle of a listing.
    fn created(&self) -> Option<SystemTime> {
        self.inner()?.created()
    }
}

/// Returns the inner image, or the error of a method that a backend does not implement.
fn inner_for<'a, I: Image + ?Sized>(
    outer: &'a I,
    operation: &'static str,
    capability: Capability,
) -> Result<&'a dyn Image> {
    outer.inner().ok_or_else(|| Error::unsupported(operation, capability.into()).of_image(outer.reference()))
}

/// Single facts about an image. Each method calls [`inspect`](Image::inspect) once.
///
/// Implemented for every [`Image`], including `dyn Image`.
pub trait ImageExt: Image {
    /// Returns the full id of the image; `None` if it does not exist.
    ///
    /// # Errors
    /// As for [`inspect`](Image::inspect).
    fn id(&self, until: impl Into<Until>) -> Result<Option<ImageId>> {
        Ok(self.inspect(&until.into())?.map(|info| info.id))
    }

    /// Returns whether the image exists.
    ///
    /// # Errors
    /// As for [`inspect`](Image::inspect).
    fn exists(&self, until: impl Into<Until>) -> Result<bool> {
        Ok(self.inspect(&until.into())?.is_some())
    }

    /// Returns the labels of the image; `None` if it does not exist.
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

/// What an engine knows about one image.
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
    /// When it was created.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub created: Option<SystemTime>,
}

impl ImageInfo {
    /// Returns the least that is known about any image; all other fields are empty.
    pub fn new(id: ImageId) -> Self {
        Self { id, names: Vec::new(), labels: BTreeMap::new(), size: None, created: None }
    }
}

/// The images that a listing contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct ImageFilter {
    /// Whether the listing only contains images without a name (`<none>:<none>`).
    pub dangling: bool,
}

impl ImageFilter {
    /// Returns the filter for all images.
    pub fn all() -> Self {
        Self::default()
    }

    /// Returns the filter for images without a name.
    pub fn dangling() -> Self {
        Self { dangling: true }
    }
}
