//! Collections that are checked as a whole: arguments, variables, capabilities.

use std::ffi::OsString;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes;
use crate::{Argv, Capabilities, Env, EnvName, EnvValue};

impl Serialize for Argv {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::list::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(bytes::list::deserialize::<OsString, D>(deserializer)?).map_err(D::Error::custom)
    }
}

/// A variable. Of a secret one, only the name and that it is secret are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable<N> {
    name: N,
    #[serde(default, with = "bytes::optional", skip_serializing_if = "Option::is_none")]
    value: Option<OsString>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
}

impl Serialize for Env {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(name, value)| match value {
            EnvValue::Plain(value) => Variable { name, value: Some(value.clone()), secret: false },
            EnvValue::Secret(_) => Variable { name, value: None, secret: true },
        }))
    }
}

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut env = Self::default();
        for Variable { name, value, .. } in Vec::<Variable<EnvName>>::deserialize(deserializer)? {
            // Without its secret, it would be another command.
            let value = value.ok_or_else(|| {
                D::Error::custom(format!(
                    "the value of {name} is not written, because it is secret: set it again"
                ))
            })?;
            env.set(name, value).map_err(D::Error::custom)?;
        }
        Ok(env)
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// Ignores capabilities of later versions: no request of this version requires them.
impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Ok(words.iter().filter_map(|word| word.parse().ok()).collect())
    }
}
