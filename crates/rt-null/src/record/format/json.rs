//! Bytes, words, times and objects as JSON, and the trait of everything that an answer is made of.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, SystemTime};

use rt_protocol::ContainerName;
use serde_json::{Map, Value};

/// The key of bytes that are not UTF-8: `{"hex": "ff00"}`.
pub(crate) const HEX: &str = "hex";

/// What can be written into a recording and read back. `decode` answers `None` for what it cannot read.
pub(crate) trait JsonCodec: Sized {
    fn encode(&self) -> Value;
    fn decode(value: &Value) -> Option<Self>;
}

/// Bytes: text where they are UTF-8, hexadecimal digits otherwise.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => object([(HEX, hex(bytes).into())]),
    }
}

/// The way back of [`bytes`].
pub(crate) fn to_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(fields) if fields.len() == 1 => unhex(fields.get(HEX)?.as_str()?),
        _ => None,
    }
}

/// A word or path of the system.
pub(crate) fn os(text: impl AsRef<OsStr>) -> Value {
    bytes(text.as_ref().as_bytes())
}

/// The way back of [`os`].
pub(crate) fn to_os(value: &Value) -> Option<OsString> {
    to_bytes(value).map(OsString::from_vec)
}

/// An object without the fields that are null.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// An object on a line of its own, its fields in the order in which one reads them; null ones are left out.
pub(crate) fn line<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    let fields: Vec<String> = present.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}\n", fields.join(","))
}

/// A field of an object; a missing one is null.
pub(crate) fn field<T: JsonCodec>(value: &Value, name: &str) -> Option<T> {
    T::decode(value.get(name).unwrap_or(&Value::Null))
}

/// A variant without fields, by the contract's own name for it.
pub(crate) fn word(variant: impl Debug) -> Value {
    format!("{variant:?}").into()
}

/// The way back of [`word`].
pub(crate) fn pick<T: Copy + Debug>(all: &[T], value: &Value) -> Option<T> {
    let word = value.as_str()?;
    all.iter().copied().find(|variant| format!("{variant:?}") == word)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let half = |digit: u8| char::from(digit).to_digit(16).and_then(|half| u8::try_from(half).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(half(*high)? << 4 | half(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

impl JsonCodec for () {
    fn encode(&self) -> Value {
        Value::Null
    }

    fn decode(value: &Value) -> Option<Self> {
        value.is_null().then_some(())
    }
}

impl JsonCodec for bool {
    fn encode(&self) -> Value {
        (*self).into()
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl JsonCodec for u64 {
    fn encode(&self) -> Value {
        (*self).into()
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_u64()
    }
}

impl JsonCodec for i32 {
    fn encode(&self) -> Value {
        (*self).into()
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_i64().and_then(|number| Self::try_from(number).ok())
    }
}

impl JsonCodec for String {
    fn encode(&self) -> Value {
        self.as_str().into()
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl JsonCodec for OsString {
    fn encode(&self) -> Value {
        os(self)
    }

    fn decode(value: &Value) -> Option<Self> {
        to_os(value)
    }
}

impl JsonCodec for ContainerName {
    fn encode(&self) -> Value {
        self.as_str().into()
    }

    fn decode(value: &Value) -> Option<Self> {
        Self::new(value.as_str()?).ok()
    }
}

impl<T: JsonCodec> JsonCodec for Option<T> {
    fn encode(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::encode)
    }

    fn decode(value: &Value) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::decode(value).map(Some) }
    }
}

impl<T: JsonCodec> JsonCodec for Vec<T> {
    fn encode(&self) -> Value {
        self.iter().map(T::encode).collect()
    }

    fn decode(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::new()),
            other => other.as_array()?.iter().map(T::decode).collect(),
        }
    }
}

/// Pairs, and not an object: keys may be as secret as values.
impl<K: JsonCodec + Ord, V: JsonCodec> JsonCodec for BTreeMap<K, V> {
    fn encode(&self) -> Value {
        self.iter().map(|(key, value)| Value::Array(vec![key.encode(), value.encode()])).collect()
    }

    fn decode(value: &Value) -> Option<Self> {
        let pair = |pair: &Value| Some((K::decode(pair.get(0)?)?, V::decode(pair.get(1)?)?));
        value.as_array()?.iter().map(pair).collect()
    }
}

/// Seconds and nanoseconds.
impl JsonCodec for Duration {
    fn encode(&self) -> Value {
        vec![Value::from(self.as_secs()), self.subsec_nanos().into()].into()
    }

    fn decode(value: &Value) -> Option<Self> {
        let nanos = u32::try_from(value.get(1)?.as_u64()?).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Self::new(value.get(0)?.as_u64()?, nanos))
    }
}

/// Seconds and nanoseconds since 1970; what was before has `before` beside them.
impl JsonCodec for SystemTime {
    fn encode(&self) -> Value {
        match self.duration_since(Self::UNIX_EPOCH) {
            Ok(since) => since.encode(),
            Err(earlier) => object([("before", earlier.duration().encode())]),
        }
    }

    fn decode(value: &Value) -> Option<Self> {
        match value.get("before") {
            Some(before) => Self::UNIX_EPOCH.checked_sub(Duration::decode(before)?),
            None => Self::UNIX_EPOCH.checked_add(Duration::decode(value)?),
        }
    }
}

/// The fields of an object, or none.
pub(crate) fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(given: Vec<u8>) {
            prop_assert_eq!(to_bytes(&bytes(&given)), Some(given));
        }

        #[test]
        fn any_time_comes_back(seconds in 0u64..1 << 40, nanos in 0u32..1_000_000_000, before: bool) {
            let offset = Duration::new(seconds, nanos);
            let epoch = SystemTime::UNIX_EPOCH;
            let time = if before { epoch - offset } else { epoch + offset };
            prop_assert_eq!(SystemTime::decode(&time.encode()), Some(time));
        }
    }

    #[test]
    fn what_is_no_hex_is_refused() {
        for bad in ["f", "fg", "+1", "ä"] {
            assert_eq!(to_bytes(&object([(HEX, bad.into())])), None, "{bad}");
        }
    }
}
