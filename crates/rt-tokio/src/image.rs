//! The async twin of an image handle.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use rt_protocol::{Image, ImageExt, ImageId, ImageInfo, ImageRef, ImageRemoval, Result, RuntimeId, Until};

use crate::call::{Call, Operation, PendingCall};
use crate::runtime_handle::SharedHandle;

/// A handle on an image: the async twin of [`Image`] and [`ImageExt`]. Creating one performs no
/// I/O. Clones refer to the same image.
///
/// The methods that return a [`Call`] have the errors of their twins.
#[derive(Clone)]
pub struct AsyncImage {
    image: Arc<dyn Image>,
    handle: SharedHandle,
}

impl AsyncImage {
    pub(crate) fn new(image: Arc<dyn Image>, handle: &SharedHandle) -> Self {
        Self { image, handle: handle.clone() }
    }

    /// Returns the handle of the contract, whose calls block.
    pub fn as_blocking(&self) -> &Arc<dyn Image> {
        &self.image
    }

    /// Returns the reference of the handle; on a handle of a listing, the full id.
    pub fn reference(&self) -> &ImageRef {
        self.image.reference()
    }

    /// Returns the id of the runtime; `None` if the handle does not know it.
    pub fn runtime_id(&self) -> Option<&RuntimeId> {
        self.image.runtime_id()
    }

    /// Returns its repository, on a handle of a listing.
    pub fn repository(&self) -> Option<&str> {
        self.image.repository()
    }

    /// Returns its tag, on a handle of a listing.
    pub fn tag(&self) -> Option<&str> {
        self.image.tag()
    }

    /// Returns its size in bytes, on a handle of a listing.
    pub fn size(&self) -> Option<u64> {
        self.image.size()
    }

    /// Returns when it was created, on a handle of a listing.
    pub fn created(&self) -> Option<SystemTime> {
        self.image.created()
    }

    /// Returns what the engine knows about the image, as [`Image::inspect`] does.
    pub fn inspect(&self, until: impl Into<Until>) -> Call<Result<Option<ImageInfo>>> {
        self.call("inspect", until, Image::inspect)
    }

    /// Returns what created each layer, as [`Image::history`] does.
    pub fn history(&self, until: impl Into<Until>) -> Call<Result<Option<Vec<String>>>> {
        self.call("read the history of", until, Image::history)
    }

    /// Removes the image, as [`Image::remove`] does.
    pub fn remove(&self, until: impl Into<Until>) -> Call<Result<ImageRemoval>> {
        self.call("remove", until, Image::remove)
    }

    /// Returns the full id of the image, as [`ImageExt::id`] does.
    pub fn id(&self, until: impl Into<Until>) -> Call<Result<Option<ImageId>>> {
        self.call("inspect", until, |image, until| image.id(until))
    }

    /// Returns whether the image exists, as [`ImageExt::exists`] does.
    pub fn exists(&self, until: impl Into<Until>) -> Call<Result<bool>> {
        self.call("inspect", until, |image, until| image.exists(until))
    }

    /// Returns the labels of the image, as [`ImageExt::labels`] does.
    pub fn labels(&self, until: impl Into<Until>) -> Call<Result<Option<BTreeMap<String, String>>>> {
        self.call("inspect", until, |image, until| image.labels(until))
    }

    fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        until: impl Into<Until>,
        work: impl FnOnce(&Arc<dyn Image>, &Until) -> Result<T> + Send + 'static,
    ) -> Call<Result<T>> {
        let operation = Operation::new(name).of_image(self.image.reference());
        let image = Arc::clone(&self.image);
        let call = PendingCall::new(&self.handle, operation, until.into(), move |until| work(&image, until));
        Call::new(async move { call.await? })
    }
}

impl fmt::Debug for AsyncImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncImage").field(&self.image).finish()
    }
}

/// Two handles are equal if their runtimes and references are.
impl PartialEq for AsyncImage {
    fn eq(&self, other: &Self) -> bool {
        *self.image == *other.image
    }
}

impl Eq for AsyncImage {}

impl Hash for AsyncImage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.image.hash(state);
    }
}
