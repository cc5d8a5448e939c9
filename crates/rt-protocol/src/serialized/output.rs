//! Captured output and its limits.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes::Form;
use crate::{CapturedOutput, OutputLimit, StreamEnd};

/// A complete stream is its bytes. Any other is its kept parts, the number of bytes dropped in
/// between, and how it ended.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "bytes, or an object with `head`, `omitted`, `tail` and `end`")]
enum Captured<'a> {
    Whole(Form<'a>),
    Parts(Parts<'a>),
}

#[derive(Serialize, Deserialize)]
struct Parts<'a> {
    head: Form<'a>,
    #[serde(default)]
    omitted: u64,
    tail: Form<'a>,
    end: StreamEnd,
}

impl Serialize for CapturedOutput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = if self.end() == StreamEnd::Eof && !self.is_truncated() {
            Captured::Whole(Form::of(self.as_bytes()))
        } else {
            let (head, tail) = (Form::of(self.head()), Form::of(self.tail()));
            Captured::Parts(Parts { head, omitted: self.omitted(), tail, end: self.end() })
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CapturedOutput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = |form: Form<'_>| form.bytes().ok_or_else(|| D::Error::custom("`hex` is none"));
        Ok(match Captured::deserialize(deserializer)? {
            Captured::Whole(whole) => Self::complete(bytes(whole)?),
            Captured::Parts(Parts { head, omitted, tail, end }) => {
                Self::truncated(bytes(head)?, omitted, &bytes(tail)?).with_end(end)
            }
        })
    }
}

/// Without a `head`, everything is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    head: Option<usize>,
    tail: usize,
}

impl Serialize for OutputLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Limit { head: (!self.is_unlimited()).then_some(self.head()), tail: self.tail() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OutputLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Limit { head, tail } = Limit::deserialize(deserializer)?;
        Ok(Self::head_and_tail(head.unwrap_or(Self::UNLIMITED.head()), tail))
    }
}
