//! How a registry knows the caller: a password is never written.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes;
use crate::RegistryAuth;

/// Of credentials, the user alone is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Written {
    Credentials { user: String },
    File(#[serde(with = "bytes")] PathBuf),
}

impl Serialize for RegistryAuth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Credentials(credentials) => Written::Credentials { user: credentials.user().to_owned() },
            Self::File(path) => Written::File(path.clone()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RegistryAuth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            // Without its password, it would be another request.
            Written::Credentials { user } => Err(D::Error::custom(format!(
                "the password of {user} is not written, because it is secret: set it again"
            ))),
            Written::File(path) => Ok(Self::File(path)),
        }
    }
}
