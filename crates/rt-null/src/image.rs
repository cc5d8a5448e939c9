//! Images in memory: handles and fixtures. The record of each is in `state/image_record`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Capability, Image, ImageFilter, ImageInfo, ImageRef, ImageRemoval, OperationSpan, Result, RuntimeId,
    TimeLimits, Until,
};

use crate::exec::pending_operation::OperationSpec;
use crate::script::fault::Operation;
use crate::state::image_record::{ImageRecord, NONE};
use crate::state::world::{Shared, World};

/// An image that a test adds; see [`NullRuntime::add_image`](crate::NullRuntime::add_image).
///
/// By default its id is its reference, its repository and tag come from the reference, and it has
/// no labels and no history.
///
/// ```
/// use rt_null::{ImageFixture, NullRuntime};
/// use rt_protocol::{ContainerRuntime, ImageExt, ImageFilter, ImageRef, Until};
///
/// let until = Until::forever();
/// let runtime = NullRuntime::new();
/// let alpine = ImageFixture::new("docker.io/library/alpine:3.20")?.size(8 << 20);
/// runtime.add_image(alpine.label("os", "linux"));
/// let listed = runtime.images(&ImageFilter::all(), &until)?;
/// assert_eq!(listed[0].repository(), Some("docker.io/library/alpine"));
/// assert_eq!(listed[0].tag(), Some("3.20"));
/// let handle = runtime.image(&ImageRef::new("docker.io/library/alpine:3.20")?);
/// assert_eq!(handle.labels(&until)?.unwrap()["os"], "linux");
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fixture is nothing until it is added"]
pub struct ImageFixture(ImageRecord);

impl ImageFixture {
    /// Describes an image with this name.
    ///
    /// # Errors
    /// [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest) if [`ImageRef::new`] refuses the
    /// reference.
    pub fn new(reference: impl Into<String>) -> Result<Self> {
        Ok(Self(ImageRecord::named(ImageRef::new(reference)?)))
    }

    /// Describes an image without a name: `<none>:<none>`.
    ///
    /// # Errors
    /// [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest) if [`ImageRef::new`] refuses the
    /// id.
    pub fn dangling(id: impl Into<String>) -> Result<Self> {
        let mut record = ImageRecord::named(ImageRef::new(id)?);
        record.lose_name();
        Ok(Self(record))
    }

    /// Sets another full id. Fixtures with the same id are names of the same image.
    ///
    /// # Errors
    /// [`InvalidRequest`](rt_protocol::ErrorKind::InvalidRequest) if [`ImageRef::new`] refuses the
    /// id, because a handle from a listing uses the id as its reference.
    pub fn id(mut self, id: impl Into<String>) -> Result<Self> {
        self.0.id = ImageRef::new(id)?;
        Ok(self)
    }

    /// Sets another repository for the listing.
    pub fn repository(mut self, repository: impl Into<String>) -> Self {
        self.0.repository = repository.into();
        self
    }

    /// Sets another tag for the listing. [`ImageFilter::dangling`] selects `<none>`.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.0.tag = tag.into();
        self
    }

    /// Sets its size in bytes.
    pub fn size(mut self, bytes: u64) -> Self {
        self.0.size = Some(bytes);
        self
    }

    /// Sets the time of its creation.
    pub fn created(mut self, time: SystemTime) -> Self {
        self.0.created = Some(time);
        self
    }

    /// Adds a label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.labels.insert(key.into(), value.into());
        self
    }

    /// Sets the command that created each layer, newest first.
    pub fn history<I, S>(mut self, layers: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.0.history = layers.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a layer with this digest, which a pull takes `time` to transfer, by the
    /// [clock](crate::NullClock). See
    /// [`NullRuntime::serve_image`](crate::NullRuntime::serve_image).
    pub fn layer(mut self, digest: impl Into<String>, time: Duration) -> Self {
        self.0.layers.push((digest.into(), time));
        self
    }

    pub(crate) fn into_record(self) -> ImageRecord {
        self.0
    }
}

/// A handle on an image in memory. Two handles are equal if runtime and reference are equal.
#[derive(Clone)]
pub struct NullImage {
    shared: Arc<Shared>,
    reference: ImageRef,
    /// What the listing said, for a handle that comes from one.
    listed: Option<ImageRecord>,
}

impl NullImage {
    pub(crate) fn new(shared: &Arc<Shared>, reference: ImageRef) -> Self {
        Self { shared: Arc::clone(shared), reference, listed: None }
    }

    /// Returns handles on all images of a listing.
    pub(crate) fn listing(shared: &Arc<Shared>, filter: ImageFilter) -> Vec<Arc<dyn Image>> {
        let rows = shared.read(|world| world.images.clone());
        let wanted = rows.into_iter().filter(|row| !filter.dangling || row.tag == NONE);
        let handles = wanted.map(|row| {
            Arc::new(Self { reference: row.id.clone(), listed: Some(row), shared: Arc::clone(shared) }) as _
        });
        handles.collect()
    }

    fn run<T>(
        &self,
        verb: &'static str,
        needs: &[Capability],
        until: &Until,
        answer: impl FnOnce(&mut World) -> T,
    ) -> Result<T> {
        OperationSpan::new(verb).run(|| {
            let needs = needs.iter().copied().chain([Capability::Images]).collect();
            let spec = OperationSpec::new(&self.shared, Operation::Images, verb).with_image(&self.reference);
            let operation = spec.requiring(needs).with_limit(TimeLimits::DEFAULT.images).begin(until)?;
            operation.apply_faults()?;
            Ok(self.shared.update(answer))
        })
    }
}

impl Image for NullImage {
    fn reference(&self) -> &ImageRef {
        &self.reference
    }

    fn runtime_id(&self) -> Option<&RuntimeId> {
        Some(&self.shared.id)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ImageInfo>> {
        self.run("inspect", &[], until, |world| {
            let mut rows = world.images.iter().filter(|image| image.matches(&self.reference));
            let first = rows.next()?;
            let mut info = ImageInfo::new(first.id.clone().into());
            let same = world.images.iter().filter(|image| image.id == first.id);
            info.names = same.filter_map(|image| image.name.as_ref().map(ToString::to_string)).collect();
            info.labels.clone_from(&first.labels);
            info.size = first.size;
            info.created = first.created;
            Some(info)
        })
    }

    fn history(&self, until: &Until) -> Result<Option<Vec<String>>> {
        self.run("read the history of", &[Capability::ImageHistory], until, |world| {
            let image = world.images.iter().find(|image| image.matches(&self.reference))?;
            Some(image.history.clone())
        })
    }

    fn remove(&self, until: &Until) -> Result<ImageRemoval> {
        self.run("remove", &[Capability::ImageRemove], until, |world| {
            let Some(image) = world.images.iter().find(|image| image.matches(&self.reference)) else {
                return ImageRemoval::Removed;
            };
            let id = image.id.clone();
            // If the image has several names, only this name is removed; the image stays, in use or
            // not.
            let by_id = id == self.reference;
            let names = world.images.iter().filter(|image| image.id == id).count();
            if by_id && names > 1 {
                return ImageRemoval::Refused(String::from(
                    "the image has several names: remove them one by one",
                ));
            }
            let last = by_id || names == 1;
            let user = world
                .by_age()
                .into_iter()
                .find(|record| record.info.image_id.as_ref().is_some_and(|of| of.as_str() == id.as_str()));
            if let (true, Some(user)) = (last, user) {
                let reason = format!("image is in use by container `{}`", user.info.name);
                return ImageRemoval::Refused(reason);
            }
            world.images.retain(
                |image| {
                    if by_id { image.id != id } else { !image.is_named(&self.reference) }
                },
            );
            ImageRemoval::Removed
        })
    }

    fn repository(&self) -> Option<&str> {
        self.listed.as_ref().map(|listed| listed.repository.as_str())
    }

    fn tag(&self) -> Option<&str> {
        self.listed.as_ref().map(|listed| listed.tag.as_str())
    }

    fn size(&self) -> Option<u64> {
        self.listed.as_ref().and_then(|listed| listed.size)
    }

    fn created(&self) -> Option<SystemTime> {
        self.listed.as_ref().and_then(|listed| listed.created)
    }
}

impl PartialEq for NullImage {
    fn eq(&self, other: &Self) -> bool {
        (&self.shared.id, &self.reference) == (&other.shared.id, &other.reference)
    }
}

impl Eq for NullImage {}

impl std::hash::Hash for NullImage {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.shared.id, &self.reference).hash(state);
    }
}

impl fmt::Debug for NullImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NullImage")
            .field("runtime", &self.shared.id.as_str())
            .field("reference", &self.reference.as_str())
            .finish_non_exhaustive()
    }
}
