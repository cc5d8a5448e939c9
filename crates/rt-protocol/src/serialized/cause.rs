//! The causes of an error: their texts, the nearest first. Their types are not kept.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serializer};

type Source = Option<Arc<dyn Error + Send + Sync>>;

/// A deserialized cause.
#[derive(Debug)]
struct Cause {
    text: String,
    cause: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

pub(crate) fn serialize<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    let first: Option<&(dyn Error + 'static)> = match source {
        Some(source) => Some(&**source),
        None => None,
    };
    let causes = std::iter::successors(first, |cause: &&(dyn Error + 'static)| (*cause).source());
    serializer.collect_seq(causes.map(ToString::to_string))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let chain =
        texts.into_iter().rev().fold(None, |cause, text| Some(Cause { text, cause: cause.map(Box::new) }));
    Ok(chain.map(|cause| Arc::new(cause) as _))
}
