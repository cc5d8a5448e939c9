//! An image of a listing, as JSON.

use rt_protocol::{Image, ImageInfo, ImageRef};
use serde::{Deserialize, Serialize};

/// An image handle, as an answer holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListedImage {
    pub(crate) reference: ImageRef,
    pub(crate) repository: Option<String>,
    pub(crate) tag: Option<String>,
    /// Its size and creation time; the id is the reference.
    pub(crate) info: ImageInfo,
}

impl ListedImage {
    pub(crate) fn bare(reference: ImageRef) -> Self {
        let info = ImageInfo::new(reference.clone().into());
        Self { reference, repository: None, tag: None, info }
    }

    pub(crate) fn of(image: &dyn Image) -> Self {
        let mut listed = Self::bare(image.reference().clone());
        listed.repository = image.repository().map(str::to_owned);
        listed.tag = image.tag().map(str::to_owned);
        listed.info.size = image.size();
        listed.info.created = image.created();
        listed
    }
}
