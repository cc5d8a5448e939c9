//! Data without the secrets that stood in it, as JSON. Which secrets there are stands in `vault`.

use std::ops::Range;

use serde_json::Value;

use crate::record::format::json::{self as data, object};

/// The key of data that had secrets in it: `{"parts": ["--token=", {"secret": "TOKEN"}]}`. A secret that came with another
/// call has the number of that beside its name, and a part of one its bounds.
pub(crate) const PARTS: &str = "parts";

/// A secret, or a part of one, within bytes.
#[derive(Debug)]
pub(crate) struct Find<'v> {
    pub(crate) at: Range<usize>,
    pub(crate) name: &'v str,
    pub(crate) call: Option<u64>,
    /// Which part of the value; `None` is all of it.
    pub(crate) part: Option<Range<usize>>,
}

/// The stretch `within` of the bytes as JSON, without what was found in it. Finds count by where they begin.
pub(crate) fn parts(bytes: &[u8], within: Range<usize>, finds: &[Find<'_>]) -> Value {
    let inside: Vec<&Find<'_>> = finds.iter().filter(|find| within.contains(&find.at.start)).collect();
    // What reaches in from before belongs to where it began.
    let reaches_in = finds.iter().filter(|find| find.at.start < within.start).map(|find| find.at.end);
    let mut place = reaches_in.fold(within.start, usize::max).min(within.end);
    if inside.is_empty() {
        return data::bytes(&bytes[place..within.end]);
    }
    let mut parts = Vec::new();
    for find in inside {
        if place < find.at.start {
            parts.push(data::bytes(&bytes[place..find.at.start]));
        }
        let bound = |bound: fn(&Range<usize>) -> usize| {
            find.part.as_ref().map_or(Value::Null, |part| bound(part).into())
        };
        parts.push(object([
            ("secret", find.name.into()),
            ("call", find.call.map_or(Value::Null, Value::from)),
            ("from", bound(|part| part.start)),
            ("to", bound(|part| part.end)),
        ]));
        place = find.at.end;
    }
    if place < within.end {
        parts.push(data::bytes(&bytes[place..within.end]));
    }
    object([(PARTS, parts.into())])
}

/// Whether these are the bytes of recorded data; where that had a secret, any bytes will do.
pub(crate) fn is_like(recorded: &Value, mut bytes: &[u8]) -> bool {
    let Some(parts) = recorded.get(PARTS).and_then(Value::as_array) else {
        return data::to_bytes(recorded).is_some_and(|recorded| recorded == bytes);
    };
    let mut hole = false;
    for (place, part) in parts.iter().enumerate() {
        if part.get("secret").is_some() {
            hole = true;
            continue;
        }
        let Some(literal) = data::to_bytes(part) else { return false };
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

/// Whether the value is masked data.
pub(crate) fn is_masked(recorded: &Value) -> bool {
    recorded.get(PARTS).is_some()
}
