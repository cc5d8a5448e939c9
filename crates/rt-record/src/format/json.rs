//! The JSON values of a recording: the contract's plain data by its feature `serde`, and bytes,
//! words and objects.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rt_protocol::CapturedOutput;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The key of bytes that are not UTF-8: `{"hex": "ff00"}`.
pub(crate) const HEX: &str = "hex";

/// Fields with keys chosen by the user. A recording holds them as pairs, because keys may be as
/// secret as values.
const FREE_KEYS: [&str; 2] = ["annotations", "labels"];

/// A type that a recording can hold. `decode` returns `None` for a value that it cannot read.
pub(crate) trait JsonCodec: Sized {
    fn encode(&self) -> Value;
    fn decode(value: &Value) -> Option<Self>;
}

impl<T: Serialize + DeserializeOwned> JsonCodec for T {
    /// Omits null fields.
    fn encode(&self) -> Value {
        written(self)
    }

    fn decode(value: &Value) -> Option<Self> {
        let mut value = value.clone();
        each_object(&mut value, &|fields| {
            for (name, value) in fields {
                if let (true, Value::Array(pairs)) = (FREE_KEYS.contains(&name.as_str()), &*value) {
                    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.clone()));
                    // A value that is not a list of pairs is not a map either, and is rejected
                    // below.
                    *value = pairs.iter().map(pair).collect::<Option<_>>().map_or(Value::Null, Value::Object);
                }
            }
        });
        serde_json::from_value(value).ok()
    }
}

/// Encodes a value that is never decoded. Every value of the contract can be encoded.
pub(crate) fn written<T: Serialize>(value: &T) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    each_object(&mut value, &|fields| {
        fields.retain(|_, value| !value.is_null());
        for (name, value) in fields {
            if let (true, Value::Object(map)) = (FREE_KEYS.contains(&name.as_str()), &mut *value) {
                *value = std::mem::take(map)
                    .into_iter()
                    .map(|(key, value)| Value::from(vec![key.into(), value]))
                    .collect();
            }
        }
    });
    value
}

/// Changes each object within, the inner ones first.
fn each_object(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| each_object(value, change));
            change(fields);
        }
        _ => {}
    }
}

/// Encodes bytes as the contract does: text if they are UTF-8, else hexadecimal digits.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => written(&CapturedOutput::complete(bytes)),
    }
}

/// Decodes [`bytes`].
pub(crate) fn to_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(fields) if fields.contains_key(HEX) => {
            CapturedOutput::decode(value).map(CapturedOutput::into_bytes)
        }
        _ => None,
    }
}

/// Encodes a word or path of the system.
pub(crate) fn os(text: impl AsRef<OsStr>) -> Value {
    bytes(text.as_ref().as_bytes())
}

/// Decodes [`os`].
pub(crate) fn to_os(value: &Value) -> Option<OsString> {
    to_bytes(value).map(OsString::from_vec)
}

/// Builds an object without the fields that are null.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Builds an object on a line of its own. Its fields are in the order for a reader; null ones are
/// omitted.
pub(crate) fn line<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    let fields: Vec<String> = present.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}\n", fields.join(","))
}

/// Returns a field of an object; a missing one counts as null.
pub(crate) fn field<T: JsonCodec>(value: &Value, name: &str) -> Option<T> {
    T::decode(value.get(name).unwrap_or(&Value::Null))
}

/// Returns the fields of an object; none if it is not an object.
pub(crate) fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rt_protocol::ImageInfo;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(given: Vec<u8>) {
            prop_assert_eq!(to_bytes(&bytes(&given)), Some(given));
        }
    }

    #[test]
    fn what_is_no_hex_is_refused() {
        for bad in ["f", "fg", "+1", "ä"] {
            assert_eq!(to_bytes(&object([(HEX, bad.into())])), None, "{bad}");
        }
    }

    #[test]
    fn labels_are_pairs() {
        let mut info = ImageInfo::new("sha256:0".parse().unwrap());
        info.labels.insert("labels".into(), "x".into());
        let encoded = info.encode();
        assert_eq!(encoded["labels"], serde_json::json!([["labels", "x"]]));
        assert!(encoded.get("created").is_none());
        assert_eq!(ImageInfo::decode(&encoded), Some(info));
    }
}
