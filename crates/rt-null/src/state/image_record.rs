//! The record of an image: one row of the listing.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rt_protocol::{ImageRef, RegistryCredentials};

/// Repository and tag of an image without a name, in a listing.
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
    /// The digests of its layers, and how long each takes to transfer.
    pub(crate) layers: Vec<(String, Duration)>,
}

/// An image that a registry has.
#[derive(Clone, Debug)]
pub(crate) struct ServedImage {
    pub(crate) record: ImageRecord,
    /// Who alone gets it; `None` for anybody.
    pub(crate) credentials: Option<RegistryCredentials>,
}

impl ImageRecord {
    /// Records an image that a create has pulled.
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
            layers: Vec::new(),
        }
    }

    /// Returns whether the reference means this image: by its id or name. A missing tag means
    /// `latest`.
    pub(crate) fn matches(&self, reference: &ImageRef) -> bool {
        self.id == *reference || self.is_named(reference)
    }

    /// Takes the name away: the image is listed as `<none>:<none>`.
    pub(crate) fn lose_name(&mut self) {
        self.name = None;
        NONE.clone_into(&mut self.repository);
        NONE.clone_into(&mut self.tag);
    }

    pub(crate) fn is_named(&self, reference: &ImageRef) -> bool {
        self.name.as_ref().is_some_and(|name| {
            let (name, asked) = (name.as_str(), reference.as_str());
            // Digests are compared as they are; a missing tag means `latest`.
            name == asked || !asked.contains('@') && repository_and_tag(name) == repository_and_tag(asked)
        })
    }
}

/// Splits a reference into repository and tag. A digest stays with a repository without a tag.
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
