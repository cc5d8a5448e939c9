//! Reads podman's JSON tolerantly: a field that is missing, null, renamed or of another type counts
//! as absent, never as a failure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// Returns the first of `names` whose value in `object` is not null.
///
/// Keys were renamed between versions, some only in case (`Time` in 4.x, `time` in 5.0). So case is
/// ignored; an exact match comes first.
pub(crate) fn field<'a>(object: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let object = object.as_object()?;
    names.iter().find_map(|name| {
        object
            .get(*name)
            .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
            .filter(|value| !value.is_null())
    })
}

/// Returns a text field that is not empty.
pub(crate) fn text(object: &Value, names: &[&str]) -> Option<String> {
    match field(object, names)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns an integer field, even if it is written as text (`StopSignal` became text in 5.0).
pub(crate) fn integer(object: &Value, names: &[&str]) -> Option<i64> {
    as_integer(field(object, names)?)
}

/// Returns an integer, even if it is written as text.
pub(crate) fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns an integer field that cannot be negative, such as a size in bytes.
pub(crate) fn unsigned(object: &Value, names: &[&str]) -> Option<u64> {
    integer(object, names).and_then(|number| u64::try_from(number).ok())
}

/// Returns the items of a list field; null and absent are empty.
pub(crate) fn list<'a>(object: &'a Value, names: &[&str]) -> &'a [Value] {
    field(object, names).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the pairs of an object field whose values are text; null and absent are empty.
pub(crate) fn text_pairs(object: &Value, names: &[&str]) -> impl Iterator<Item = (String, String)> {
    field(object, names)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| value.as_str().map(|value| (key.clone(), value.to_owned())))
}

/// Returns a time field: RFC 3339 text, or seconds since 1970. podman writes the year 1 for
/// "never".
pub(crate) fn time(object: &Value, names: &[&str]) -> Option<SystemTime> {
    let value = field(object, names)?;
    if let Some(seconds) = as_integer(value) {
        return (seconds > 0).then(|| UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs()));
    }
    let timestamp: jiff::Timestamp = value.as_str()?.parse().ok()?;
    SystemTime::try_from(timestamp).ok().filter(|time| *time > UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn renamed_keys_integers_as_text_and_null_lists_are_read() {
        let object = json!({ "time": "12", "Names": null, "exact": 1, "EXACT": 2 });
        assert_eq!(integer(&object, &["Time"]), Some(12));
        assert!(list(&object, &["Names"]).is_empty());
        assert_eq!(integer(&object, &["exact"]), Some(1));
        assert_eq!(field(&object, &["absent"]), None);
    }

    #[test]
    fn the_year_one_is_never() {
        for never in
            [json!("0001-01-01T00:00:00Z"), json!(-62_135_596_800_i64), json!(0), json!("odd"), json!([])]
        {
            assert_eq!(time(&json!({ "t": never }), &["t"]), None);
        }
        let noon = UNIX_EPOCH + Duration::from_secs(43_200);
        for text in ["1970-01-01T12:00:00Z", "1970-01-01T13:00:00+01:00", "1970-01-01T12:00:00.000000000Z"] {
            assert_eq!(time(&json!({ "t": text }), &["t"]), Some(noon), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_a_reader_panic(text in "\\PC{0,40}", number in any::<i64>()) {
            for value in [json!(text), json!(number), json!([text]), json!({ "t": number })] {
                let object = json!({ "t": value });
                let _ = (time(&object, &["t"]), integer(&object, &["t"]), crate::cli::json::text(&object, &["t"]));
                let _ = (list(&object, &["t"]).len(), text_pairs(&object, &["t"]).count(), unsigned(&object, &["t"]));
            }
        }
    }
}
