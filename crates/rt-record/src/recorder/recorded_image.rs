//! The handle on an image under record.
#![deny(clippy::missing_trait_methods, reason = "a default would ask the inner handle something else")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rt_protocol::{Image, ImageInfo, ImageRef, ImageRemoval, Result, RuntimeId};

use super::journal::Journal;
use crate::format::invocation::Invocation;
use crate::format::json::{JsonCodec, object};

/// A handle whose questions are written down. What a listing brought along asks nothing.
pub(crate) struct RecordedImage {
    inner: Arc<dyn Image>,
    journal: Arc<Journal>,
}

impl fmt::Debug for RecordedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordedImage({:?})", self.inner)
    }
}

impl RecordedImage {
    pub(crate) fn new(inner: Arc<dyn Image>, journal: &Arc<Journal>) -> Self {
        Self { inner, journal: Arc::clone(journal) }
    }

    fn record<T: JsonCodec>(
        &self,
        op: &'static str,
        verb: &'static str,
        call: impl FnOnce(&dyn Image) -> Result<T>,
    ) -> Result<T> {
        self.journal.record(&Invocation::image(self.inner.reference(), op, verb), || call(&*self.inner))
    }
}

impl Image for RecordedImage {
    fn reference(&self) -> &ImageRef {
        self.inner.reference()
    }

    fn runtime_id(&self) -> Option<&RuntimeId> {
        self.inner.runtime_id()
    }

    fn inspect(&self) -> Result<Option<ImageInfo>> {
        self.record("inspect", "inspect", |image| image.inspect())
    }

    fn id(&self) -> Result<Option<String>> {
        self.record("id", "inspect", |image| image.id())
    }

    fn exists(&self) -> Result<bool> {
        self.record("exists", "inspect", |image| image.exists())
    }

    fn labels(&self) -> Result<Option<BTreeMap<String, String>>> {
        // Pairs, as labels are everywhere: keys may be as secret as values.
        self.record("labels", "inspect", |image| Ok(image.labels()?.map(Vec::from_iter)))
            .map(|pairs| pairs.map(BTreeMap::from_iter))
    }

    fn history(&self) -> Result<Option<Vec<String>>> {
        self.record("history", "read the history of", |image| image.history())
    }

    fn remove(&self) -> Result<ImageRemoval> {
        let invocation = Invocation::image(self.inner.reference(), "remove", "remove");
        let word = |removal: &ImageRemoval| object([("removal", removal.encode())]);
        self.journal.record_as(&invocation, || self.inner.remove(), word)
    }

    fn repository(&self) -> Option<&str> {
        self.inner.repository()
    }

    fn tag(&self) -> Option<&str> {
        self.inner.tag()
    }

    fn size(&self) -> Option<u64> {
        self.inner.size()
    }

    fn created(&self) -> Option<SystemTime> {
        self.inner.created()
    }
}
