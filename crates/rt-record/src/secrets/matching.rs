//! Whether a call matches a recorded one.

use serde_json::Value;

use super::masked;
use crate::format::arguments::NOT_COMPARED;
use crate::format::json;

/// Returns whether the arguments match the recorded ones. Where recorded data contained a secret,
/// any bytes match. A field that this version does not know never matches, because this version
/// cannot ask for it.
pub(crate) fn matches_recorded(recorded: &Value, asked: &Value) -> bool {
    if masked::is_masked(recorded) {
        return json::to_bytes(asked).is_some_and(|asked| masked::matches_recorded(recorded, &asked));
    }
    match (recorded, asked) {
        (Value::Object(_), Value::Object(asked)) => {
            let is_asked = |(name, value): (&String, &Value)| {
                asked.contains_key(name) || value.is_null() || NOT_COMPARED.contains(&&**name)
            };
            json::fields(recorded).all(is_asked)
                && asked.iter().all(|(name, asked)| {
                    NOT_COMPARED.contains(&&**name)
                        || matches_recorded(recorded.get(name).unwrap_or(&Value::Null), asked)
                })
        }
        (Value::Array(recorded), Value::Array(asked)) => {
            recorded.len() == asked.len()
                && recorded.iter().zip(asked).all(|(recorded, asked)| matches_recorded(recorded, asked))
        }
        _ => recorded == asked,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_argument_counts() {
        let asked = json!({"argv": ["make"]});
        assert!(matches_recorded(&json!({"argv": ["make"], "user": null}), &asked));
        assert!(!matches_recorded(&json!({"argv": ["make"], "user": "root"}), &asked));
        assert!(!matches_recorded(&asked, &json!({"argv": ["make"], "user": "root"})));
        assert!(!matches_recorded(&json!({"argv": ["make", "test"]}), &asked));
    }

    #[test]
    fn host_paths_and_times_are_not_compared_and_their_presence_is() {
        assert!(matches_recorded(
            &json!({"host": "/tmp/1", "path": "/a"}),
            &json!({"host": "/tmp/2", "path": "/a"})
        ));
        assert!(matches_recorded(
            &json!({"since": {"secs_since_epoch": 1}}),
            &json!({"since": {"secs_since_epoch": 2}})
        ));
        assert!(!matches_recorded(&json!({"since": {"secs_since_epoch": 1}}), &json!({})));
        assert!(!matches_recorded(&json!({}), &json!({"since": {"secs_since_epoch": 2}})));
    }
}
