//! Checked texts, paths and words, which are deserialized by the constructors that check them.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes;
use crate::{
    Capability, ContainerId, ContainerName, ContainerPath, ContainerState, EnvName, ErrorKind, EventAction,
    FileKind, Health, ImageId, ImageRef, LinuxCapability, NamePrefix, Network, NetworkName, OciRuntime,
    OutputStream, PullPolicy, RestartPolicy, RuntimeId, SecurityOption, Signal, StreamEnd, TransportProtocol,
    User, VolumeName,
};

macro_rules! texts {
    ($($name:ident by $read:path,)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $read(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

texts! {
    Capability by Capability::try_from,
    ContainerId by ContainerId::new,
    // Existing names may be longer than new ones.
    ContainerName by ContainerName::of_existing,
    ContainerState by ContainerState::try_from,
    EnvName by EnvName::new,
    EventAction by EventAction::try_from,
    FileKind by FileKind::try_from,
    Health by Health::try_from,
    ImageId by ImageId::new,
    ImageRef by ImageRef::new,
    LinuxCapability by LinuxCapability::new,
    NamePrefix by NamePrefix::new,
    Network by Network::try_from,
    NetworkName by NetworkName::new,
    OciRuntime by OciRuntime::new,
    OutputStream by OutputStream::try_from,
    PullPolicy by PullPolicy::try_from,
    RestartPolicy by RestartPolicy::try_from,
    RuntimeId by RuntimeId::try_from,
    SecurityOption by SecurityOption::new,
    Signal by Signal::try_from,
    StreamEnd by StreamEnd::try_from,
    TransportProtocol by TransportProtocol::try_from,
    User by User::new,
    VolumeName by VolumeName::new,
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Reads a kind of a later version as a failure of the engine.
impl<'de> Deserialize<'de> for ErrorKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.parse().unwrap_or(Self::BackendFailed))
    }
}

impl Serialize for ContainerPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(&self.as_path().to_owned(), serializer)
    }
}

impl<'de> Deserialize<'de> for ContainerPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(bytes::deserialize::<PathBuf, D>(deserializer)?).map_err(D::Error::custom)
    }
}
