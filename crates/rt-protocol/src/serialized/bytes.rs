//! Bytes, arguments and paths: text if they are UTF-8, and otherwise `{"hex": "ff00"}`.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A type that is made of bytes.
pub(crate) trait Bytes {
    fn bytes(&self) -> &[u8];
    fn of_bytes(bytes: Vec<u8>) -> Self;
}

impl Bytes for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn of_bytes(bytes: Vec<u8>) -> Self {
        bytes
    }
}

impl Bytes for OsString {
    fn bytes(&self) -> &[u8] {
        OsStrExt::as_bytes(self.as_os_str())
    }

    fn of_bytes(bytes: Vec<u8>) -> Self {
        Self::from_vec(bytes)
    }
}

impl Bytes for PathBuf {
    fn bytes(&self) -> &[u8] {
        self.as_os_str().as_bytes()
    }

    fn of_bytes(bytes: Vec<u8>) -> Self {
        OsString::from_vec(bytes).into()
    }
}

/// The serialized form.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "a text, or an object with `hex`")]
pub(super) enum Form<'a> {
    Text(Cow<'a, str>),
    Hex { hex: String },
}

impl<'a> Form<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Self::Text(text.into());
        }
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Self::Hex { hex: digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect() }
    }

    /// Returns the bytes; `None` if the digits are invalid.
    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        let hex = match self {
            Self::Text(text) => return Some(text.into_owned().into_bytes()),
            Self::Hex { hex } => hex,
        };
        let half = |digit: u8| char::from(digit).to_digit(16).and_then(|half| u8::try_from(half).ok());
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(half(*high)? << 4 | half(*low)?),
            _ => None,
        };
        hex.as_bytes().chunks(2).map(pair).collect()
    }
}

pub(crate) fn serialize<T: Bytes, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    Form::of(value.bytes()).serialize(serializer)
}

pub(crate) fn deserialize<'de, T: Bytes, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let bytes = Form::deserialize(deserializer)?.bytes();
    bytes.map(T::of_bytes).ok_or_else(|| D::Error::custom("`hex` must be pairs of hexadecimal digits"))
}

/// One value, where serde requires a type.
struct Item<T>(T);

impl<'de, T: Bytes> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

/// Lists of such values.
pub(crate) mod list {
    use super::{Bytes, Deserialize, Deserializer, Form, Item, Serializer};

    pub(crate) fn serialize<'a, I, T, S>(items: &'a I, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a I: IntoIterator<Item = &'a T>,
        T: Bytes + 'a,
        S: Serializer,
    {
        serializer.collect_seq(items.into_iter().map(|item| Form::of(item.bytes())))
    }

    pub(crate) fn deserialize<'de, T: Bytes, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let items = Vec::<Item<T>>::deserialize(deserializer)?;
        Ok(items.into_iter().map(|Item(item)| item).collect())
    }
}

/// Optional values; `null` is `None`.
pub(crate) mod optional {
    use super::{Bytes, Deserialize, Deserializer, Form, Item, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<T: Bytes, S: Serializer>(
        item: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        item.as_ref().map(|item| Form::of(item.bytes())).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Bytes, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Item<T>>::deserialize(deserializer)?.map(|Item(item)| item))
    }
}
