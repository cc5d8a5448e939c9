//! What a listing says of an image, and what came of a removal, as JSON.

use std::time::SystemTime;

use rt_protocol::{Image, ImageRef, ImageRemoval};
use serde_json::Value;

use super::json::{JsonCodec, field, object};

impl JsonCodec for ImageRemoval {
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
pub(crate) fn encode(image: &dyn Image) -> Value {
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
pub(crate) struct ListedImage {
    pub(crate) reference: ImageRef,
    pub(crate) repository: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) created: Option<SystemTime>,
}

impl ListedImage {
    pub(crate) fn bare(reference: ImageRef) -> Self {
        Self { reference, repository: None, tag: None, size: None, created: None }
    }

    pub(crate) fn decode(value: &Value) -> Option<Self> {
        Some(Self {
            reference: ImageRef::new(value.get("reference")?.as_str()?).ok()?,
            repository: field(value, "repository")?,
            tag: field(value, "tag")?,
            size: field(value, "size")?,
            created: field(value, "created")?,
        })
    }
}
