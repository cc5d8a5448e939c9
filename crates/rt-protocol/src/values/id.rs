//! The ids that an engine gives to containers and images. Names and references are chosen by
//! callers instead.

use super::name::check_name;
use crate::{ImageRef, InvalidValue, checked_text};

/// The full id of a container, as its engine assigns it: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255
/// bytes.
///
/// podman's ids are 64 hexadecimal digits. A new container with an old name has a new id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(String);

impl ContainerId {
    /// Checks the id.
    ///
    /// # Errors
    /// An id that does not match `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, or has more than 255 bytes.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidValue> {
        check_name("container id", id.into()).map(Self)
    }
}

checked_text!(ContainerId);

/// The full id of an image, as its engine assigns it. It is also a [reference](ImageRef) to that
/// image.
///
/// podman's ids are 64 hexadecimal digits; those of other engines begin with `sha256:`.
///
/// ```
/// use rt_protocol::{ImageId, ImageRef};
///
/// let id = ImageId::new("sha256:c0ffee")?;
/// assert_eq!(ImageRef::from(id).as_str(), "sha256:c0ffee");
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(String);

impl ImageId {
    /// Checks the id.
    ///
    /// # Errors
    /// As for [`ImageRef::new`].
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidValue> {
        ImageRef::new(id).map(|reference| Self(reference.into()))
    }
}

checked_text!(ImageId);

/// For backends whose images have no other ids.
impl From<ImageRef> for ImageId {
    fn from(reference: ImageRef) -> Self {
        Self(reference.into())
    }
}

impl From<ImageId> for ImageRef {
    fn from(id: ImageId) -> Self {
        Self::from_checked(id.into())
    }
}
