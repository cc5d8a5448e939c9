//! JSON as podman prints it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::Answer;

/// An object, or null when there is nothing in it.
pub(crate) fn pairs(pairs: &BTreeMap<String, String>) -> Value {
    if pairs.is_empty() { Value::Null } else { json!(pairs) }
}

/// JSON with this indent, and a line end.
pub(crate) fn pretty(value: &Value, indent: &[u8]) -> Result<String, Answer> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(Answer::own)
}
