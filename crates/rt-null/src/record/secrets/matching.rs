//! Whether what is asked is what was recorded.

use serde_json::Value;

use crate::record::format::arguments::NOT_COMPARED;
use crate::record::format::json as data;
use crate::record::secrets::masked;

/// Whether the asked arguments are the recorded ones. Recorded data that had a secret in it is like any bytes in the place
/// of the secret. A field that this version does not know is one that it cannot ask for, so it is no match.
pub(crate) fn is_like(recorded: &Value, asked: &Value) -> bool {
    if masked::is_masked(recorded) {
        return data::to_bytes(asked).is_some_and(|asked| masked::is_like(recorded, &asked));
    }
    match (recorded, asked) {
        (Value::Object(_), Value::Object(asked)) => {
            let is_asked = |(name, value): (&String, &Value)| {
                asked.contains_key(name) || value.is_null() || NOT_COMPARED.contains(&&**name)
            };
            data::fields(recorded).all(is_asked)
                && asked.iter().all(|(name, asked)| {
                    NOT_COMPARED.contains(&&**name)
                        || is_like(recorded.get(name).unwrap_or(&Value::Null), asked)
                })
        }
        (Value::Array(recorded), Value::Array(asked)) => {
            recorded.len() == asked.len()
                && recorded.iter().zip(asked).all(|(recorded, asked)| is_like(recorded, asked))
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
        assert!(is_like(&json!({"argv": ["make"], "user": null}), &asked));
        assert!(!is_like(&json!({"argv": ["make"], "user": "root"}), &asked));
        assert!(!is_like(&asked, &json!({"argv": ["make"], "user": "root"})));
        assert!(!is_like(&json!({"argv": ["make", "test"]}), &asked));
    }

    #[test]
    fn host_paths_and_times_are_not_compared_and_their_presence_is() {
        assert!(is_like(&json!({"host": "/tmp/1", "path": "/a"}), &json!({"host": "/tmp/2", "path": "/a"})));
        assert!(is_like(&json!({"since": {"time": [1, 0]}}), &json!({"since": {"time": [2, 0]}})));
        assert!(!is_like(&json!({"since": {"time": [1, 0]}}), &json!({})));
        assert!(!is_like(&json!({}), &json!({"since": {"time": [2, 0]}})));
    }
}
