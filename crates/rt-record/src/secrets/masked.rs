//! Data without the secrets that it contained, as JSON. The known secrets are in `masker`.

use std::ops::Range;

use serde_json::Value;

use crate::format::json::{self, object};

/// The key of data that contained secrets: `{"parts": ["--token=", {"secret": "TOKEN"}]}`. A secret
/// that came with another call has that call's number beside its name, and a part of a secret has
/// its bounds.
pub(crate) const PARTS: &str = "parts";

/// A secret, or a part of one, within bytes.
#[derive(Debug)]
pub(crate) struct SecretMatch<'v> {
    pub(crate) at: Range<usize>,
    pub(crate) name: &'v str,
    pub(crate) call: Option<u64>,
    /// Which part of the value; `None` means all of it.
    pub(crate) part: Option<Range<usize>>,
}

/// Encodes the bytes `within` as JSON, without the secrets found in them. A match belongs to the
/// range where it begins.
pub(crate) fn mask_range(bytes: &[u8], within: Range<usize>, matches: &[SecretMatch<'_>]) -> Value {
    let inside: Vec<&SecretMatch<'_>> =
        matches.iter().filter(|found| within.contains(&found.at.start)).collect();
    // A match that began before the range belongs to the earlier range.
    let reaches_in = matches.iter().filter(|found| found.at.start < within.start).map(|found| found.at.end);
    let mut place = reaches_in.fold(within.start, usize::max).min(within.end);
    if inside.is_empty() {
        return json::bytes(&bytes[place..within.end]);
    }
    let mut parts = Vec::new();
    for found in inside {
        if place < found.at.start {
            parts.push(json::bytes(&bytes[place..found.at.start]));
        }
        let bound = |bound: fn(&Range<usize>) -> usize| {
            found.part.as_ref().map_or(Value::Null, |part| bound(part).into())
        };
        parts.push(object([
            ("secret", found.name.into()),
            ("call", found.call.map_or(Value::Null, Value::from)),
            ("from", bound(|part| part.start)),
            ("to", bound(|part| part.end)),
        ]));
        place = found.at.end;
    }
    if place < within.end {
        parts.push(json::bytes(&bytes[place..within.end]));
    }
    object([(PARTS, parts.into())])
}

/// Returns whether these bytes match the recorded data. Where that contained a secret, any bytes
/// match.
pub(crate) fn matches_recorded(recorded: &Value, mut bytes: &[u8]) -> bool {
    let Some(parts) = recorded.get(PARTS).and_then(Value::as_array) else {
        return json::to_bytes(recorded).is_some_and(|recorded| recorded == bytes);
    };
    let mut hole = false;
    for (place, part) in parts.iter().enumerate() {
        if part.get("secret").is_some() {
            hole = true;
            continue;
        }
        let Some(literal) = json::to_bytes(part) else { return false };
        let at = match (hole, place + 1 == parts.len()) {
            (false, _) => bytes.starts_with(&literal).then_some(0),
            (true, true) => bytes.ends_with(&literal).then(|| bytes.len() - literal.len()),
            (true, false) => bytes.windows(literal.len().max(1)).position(|window| window == literal),
        };
        let Some(at) = at else { return false };
        bytes = &bytes[at + literal.len()..];
        hole = false;
    }
    hole || bytes.is_empty()
}

/// Returns whether the value is masked data.
pub(crate) fn is_masked(recorded: &Value) -> bool {
    recorded.get(PARTS).is_some()
}
