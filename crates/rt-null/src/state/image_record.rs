//! What a runtime remembers of an image: one row of the listing.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rt_protocol::ImageRef;

/// What the listing says of an image without a name, as repository and as tag.
pub(crate) const NONE: &str = "<none>";

/// One row of the listing.
#[derive(Clone, Debug)]
pub(crate) struct ImageRecord {
    pub(crate) name: Option<ImageRef>,
    pub(crate) id: ImageRef,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) size: Option<u64>,
    pub(crate) created: Option<SystemTime>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) history: Vec<String>,
}

impl ImageRecord {
    /// An image that a create has pulled.
    pub(crate) fn pulled(reference: &ImageRef, now: SystemTime) -> Self {
        Self { created: Some(now), ..Self::named(reference.clone()) }
    }

    pub(crate) fn named(reference: ImageRef) -> Self {
        let (repository, tag) = repository_and_tag(reference.as_str());
        Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            id: reference.clone(),
            name: Some(reference),
            size: None,
            created: None,
            labels: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// Whether the image is meant by this reference: its id or name, where a missing tag is `latest`.
    pub(crate) fn matches(&self, reference: &ImageRef) -> bool {
        self.id == *reference || self.is_named(reference)
    }

    pub(crate) fn is_named(&self, reference: &ImageRef) -> bool {
        self.name.as_ref().is_some_and(|name| {
            let (name, asked) = (name.as_str(), reference.as_str());
            // Digests stand for themselves; a missing tag is `latest`.
            name == asked || !asked.contains('@') && repository_and_tag(name) == repository_and_tag(asked)
        })
    }
}

/// Repository and tag of a reference; a digest stays with the repository's tag-less form.
fn repository_and_tag(reference: &str) -> (&str, &str) {
    if let Some((repository, _digest)) = reference.split_once('@') {
        return (repository, NONE);
    }
    // A colon before the last slash belongs to the port of the host.
    let last = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference[last..].find(':') {
        Some(colon) => (&reference[..last + colon], &reference[last + colon + 1..]),
        None => (reference, "latest"),
    }
}
