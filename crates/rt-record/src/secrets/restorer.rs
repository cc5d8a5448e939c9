//! The values that a replay puts in place of removed secrets: those that the program gives by the
//! same names.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use rt_protocol::{Env, EnvValue};
use serde_json::Value;

use super::masked::PARTS;
use super::masker::placeholder;
use crate::format::json;

/// Values by the recorded call that they come with, and by name.
#[derive(Default)]
pub(crate) struct SecretRestorer {
    of_calls: BTreeMap<(u64, String), Vec<u8>>,
    newest: BTreeMap<String, Vec<u8>>,
}

impl SecretRestorer {
    /// Adds the values that now come with a recorded call.
    pub(crate) fn add_env(&mut self, env: &Env, call: u64) {
        for (name, value) in env.iter().filter(|(_, value)| value.is_secret()) {
            self.add(name.as_str(), value.expose(), call);
        }
    }

    /// Adds a value that comes with no call.
    pub(crate) fn add_secret(&mut self, name: &str, value: &OsStr) {
        self.add(name, value, 0);
    }

    fn add(&mut self, name: &str, value: &OsStr, call: u64) {
        let value = value.as_bytes().to_owned();
        self.newest.insert(name.to_owned(), value.clone());
        self.of_calls.insert((call, name.to_owned()), value);
    }

    /// Returns the recorded value with its secrets restored. For each secret it takes the call's
    /// own value, else the one of the call that it came with, else the newest of that name, else
    /// the name itself. `None` if the parts are invalid.
    pub(crate) fn restore(&self, value: &Value, own: Option<&Env>) -> Option<Value> {
        Some(match value {
            Value::Array(items) => {
                items.iter().map(|item| self.restore(item, own)).collect::<Option<Vec<_>>>()?.into()
            }
            Value::Object(fields) => {
                if let Some(parts) = fields.get(PARTS) {
                    let parts = parts.as_array()?.iter().map(|part| self.restore_part(part, own));
                    json::bytes(&parts.collect::<Option<Vec<_>>>()?.concat())
                } else {
                    let restored =
                        fields.iter().map(|(name, value)| Some((name.clone(), self.restore(value, own)?)));
                    Value::Object(restored.collect::<Option<_>>()?)
                }
            }
            other => other.clone(),
        })
    }

    fn restore_part(&self, part: &Value, own: Option<&Env>) -> Option<Vec<u8>> {
        let Some(name) = part.get("secret") else { return json::to_bytes(part) };
        let name = name.as_str()?;
        let value = match part.get("call").and_then(Value::as_u64) {
            None => own.and_then(|env| env.get(name)).map(EnvValue::expose).map(OsStr::as_bytes),
            Some(call) => self.of_calls.get(&(call, name.to_owned())).map(Vec::as_slice),
        };
        let Some(value) = value.or_else(|| self.newest.get(name).map(Vec::as_slice)) else {
            return Some(placeholder(name).into_bytes());
        };
        let bound =
            |name| part.get(name).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let to = bound("to").unwrap_or(value.len()).min(value.len());
        let from = bound("from").unwrap_or(0).min(to);
        Some(value[from..to].to_owned())
    }
}

/// Shows names only.
impl fmt::Debug for SecretRestorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.newest.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_value_is_that_of_the_call_or_the_newest_or_the_name() {
        let mut restorer = SecretRestorer::default();
        let back = |restorer: &SecretRestorer, own: Option<&Env>, part: Value| {
            let back = restorer.restore(&json!([{ "parts": ["<", part, ">"] }]), own).unwrap();
            String::from_utf8(json::to_bytes(&back[0]).unwrap()).unwrap()
        };
        let of_call = || json!({"secret": "TOKEN", "call": 3});
        assert_eq!(back(&restorer, None, of_call()), "<<secret TOKEN>>");
        let mut env = Env::default();
        env.set_secret("TOKEN", "three".into()).unwrap();
        restorer.add_env(&env, 3);
        env.set_secret("TOKEN", "four".into()).unwrap();
        restorer.add_env(&env, 4);
        assert_eq!(back(&restorer, Some(&env), of_call()), "<three>");
        assert_eq!(back(&restorer, None, json!({"secret": "TOKEN", "call": 5})), "<four>");
        env.set_secret("TOKEN", "own".into()).unwrap();
        assert_eq!(back(&restorer, Some(&env), json!({"secret": "TOKEN"})), "<own>");
        // If the value has another length, the part is cut to it.
        assert_eq!(back(&restorer, Some(&env), json!({"secret": "TOKEN", "from": 2, "to": 9})), "<n>");
        assert_eq!(restorer.restore(&json!({"parts": 3}), None), None);
    }
}
