//! A volume of the engine that a new container mounts.

use std::path::PathBuf;

use crate::values::name::check_name;
use crate::{ContainerPath, InvalidValue, checked_text};

/// The name of a volume: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VolumeName(String);

impl VolumeName {
    /// Checks the name.
    ///
    /// # Errors
    /// A name of another form.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        check_name("volume name", name.into()).map(Self)
    }
}

checked_text!(VolumeName);

/// A volume of the engine. The engine creates it if it does not exist.
///
/// An anonymous volume is removed with its container. One with a name stays.
///
/// ```
/// use rt_protocol::{LaunchSpec, Volume};
///
/// let spec = LaunchSpec::builder("db", "docker.io/library/postgres:17")
///     .volume(Volume::named("db-data", "/var/lib/postgresql/data")?)
///     .build()?;
/// assert_eq!(spec.volumes()[0].name().unwrap().as_str(), "db-data");
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Volume {
    #[cfg_attr(feature = "serde", serde(default))]
    name: Option<VolumeName>,
    destination: ContainerPath,
    #[cfg_attr(feature = "serde", serde(default))]
    read_only: bool,
}

impl Volume {
    /// Returns the volume of this name, at this path of the container.
    ///
    /// # Errors
    /// An invalid name; a path that is not absolute, or has a NUL byte.
    pub fn named(name: impl Into<String>, destination: impl Into<PathBuf>) -> Result<Self, InvalidValue> {
        Ok(Self { name: Some(VolumeName::new(name)?), ..Self::anonymous(destination)? })
    }

    /// Returns a new volume without a name, at this path of the container.
    ///
    /// # Errors
    /// A path that is not absolute, or has a NUL byte.
    pub fn anonymous(destination: impl Into<PathBuf>) -> Result<Self, InvalidValue> {
        Ok(Self { name: None, destination: ContainerPath::new(destination)?, read_only: false })
    }

    /// Returns the same for reading only.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Returns its name; `None` for an anonymous one.
    pub fn name(&self) -> Option<&VolumeName> {
        self.name.as_ref()
    }

    /// Returns the path in the container.
    pub fn destination(&self) -> &ContainerPath {
        &self.destination
    }

    /// Returns whether the container may only read it.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_an_option_is_no_volume_name() {
        for bad in ["", "/data", "-v", "a,b", "a=b", "a:b", "a b"] {
            assert!(VolumeName::new(bad).is_err(), "{bad}");
        }
        assert!(Volume::named("data", "data").is_err() && Volume::anonymous("/data").is_ok());
    }
}
