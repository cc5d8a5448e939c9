//! The handle on a recorded image.

use std::fmt;
use std::sync::Arc;

use rt_protocol::{Image, ImageInfo, ImageRef, ImageRemoval, Result, Until};

use super::journal::Journal;
use crate::format::invocation::Invocation;
use crate::format::json::{JsonCodec, object};

/// A handle that records its queries. Reading what the listing already holds is not a query.
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

    fn inner(&self) -> Option<&dyn Image> {
        Some(&*self.inner)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ImageInfo>> {
        self.record("inspect", "inspect", |image| image.inspect(until))
    }

    fn history(&self, until: &Until) -> Result<Option<Vec<String>>> {
        self.record("history", "read the history of", |image| image.history(until))
    }

    fn remove(&self, until: &Until) -> Result<ImageRemoval> {
        let invocation = Invocation::image(self.inner.reference(), "remove", "remove");
        let word = |removal: &ImageRemoval| object([("removal", removal.encode())]);
        self.journal.record_as(&invocation, || self.inner.remove(until), word)
    }
}
