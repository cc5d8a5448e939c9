//! The handle on an image under record, and what a listing says of one as JSON.
#![deny(clippy::missing_trait_methods, reason = "a default would ask the inner handle something else")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rt_protocol::{Image, ImageInfo, ImageRef, ImageRemoval, Result, RuntimeId};
use serde_json::Value;

use super::data::{Answer, field, object};
use super::journal::Journal;
use super::question::Question;

/// A handle whose questions are written down. What a listing brought along asks nothing.
pub(super) struct RecordedImage {
    inner: Arc<dyn Image>,
    journal: Arc<Journal>,
}

impl fmt::Debug for RecordedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordedImage({:?})", self.inner)
    }
}

impl RecordedImage {
    pub(super) fn new(inner: Arc<dyn Image>, journal: &Arc<Journal>) -> Self {
        Self { inner, journal: Arc::clone(journal) }
    }

    fn ask<T: Answer>(
        &self,
        op: &'static str,
        verb: &'static str,
        ask: impl FnOnce(&dyn Image) -> Result<T>,
    ) -> Result<T> {
        self.journal.record(&Question::image(self.inner.reference(), op, verb), || ask(&*self.inner))
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
        self.ask("inspect", "inspect", |image| image.inspect())
    }

    fn id(&self) -> Result<Option<String>> {
        self.ask("id", "inspect", |image| image.id())
    }

    fn exists(&self) -> Result<bool> {
        self.ask("exists", "inspect", |image| image.exists())
    }

    fn labels(&self) -> Result<Option<BTreeMap<String, String>>> {
        self.ask("labels", "inspect", |image| image.labels())
    }

    fn history(&self) -> Result<Option<Vec<String>>> {
        self.ask("history", "read the history of", |image| image.history())
    }

    fn remove(&self) -> Result<ImageRemoval> {
        self.ask("remove", "remove", |image| image.remove())
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

impl Answer for ImageRemoval {
    fn encode(&self) -> Value {
        match self {
            Self::Refused(reason) => object([("refused", reason.as_str().into())]),
            _ => object([("removed", true.into())]),
        }
    }

    fn decode(value: &Value) -> Option<Self> {
        match value.get("refused") {
            Some(reason) => String::decode(reason).map(Self::Refused),
            None => value.get("removed").map(|_| Self::Removed),
        }
    }
}

/// A handle as an answer shows it.
pub(super) fn encode(image: &dyn Image) -> Value {
    object([
        ("reference", image.reference().as_str().into()),
        ("repository", image.repository().map_or(Value::Null, Value::from)),
        ("tag", image.tag().map_or(Value::Null, Value::from)),
        ("size", image.size().encode()),
        ("created", image.created().encode()),
    ])
}

/// What an answer says of a handle.
#[derive(Clone, Debug)]
pub(super) struct ImageFacts {
    pub(super) reference: ImageRef,
    pub(super) repository: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) created: Option<SystemTime>,
}

impl ImageFacts {
    pub(super) fn bare(reference: ImageRef) -> Self {
        Self { reference, repository: None, tag: None, size: None, created: None }
    }

    pub(super) fn decode(value: &Value) -> Option<Self> {
        Some(Self {
            reference: ImageRef::new(value.get("reference")?.as_str()?).ok()?,
            repository: field(value, "repository")?,
            tag: field(value, "tag")?,
            size: field(value, "size")?,
            created: field(value, "created")?,
        })
    }
}
