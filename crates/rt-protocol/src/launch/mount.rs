//! A host directory or file that a new container mounts. The mounts of an existing container are
//! `MountInfo`s.

use std::path::{Path, PathBuf};

use crate::{ContainerPath, InvalidValue};

/// A host directory or file that is mounted into the container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BindMount {
    source: PathBuf,
    destination: ContainerPath,
    read_only: bool,
}

impl BindMount {
    /// Returns a mount that the container may write to.
    ///
    /// # Errors
    /// A source or destination that is not absolute, or has a NUL byte.
    pub fn writable(
        source: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue> {
        let source = source.into();
        if !source.is_absolute() || source.as_os_str().as_encoded_bytes().contains(&0) {
            // podman reads a relative source as the name of a volume.
            return Err(InvalidValue::new("mount source", source, "it must be absolute and without NUL"));
        }
        Ok(Self { source, destination: ContainerPath::new(destination)?, read_only: false })
    }

    /// Returns a mount that the container may only read.
    ///
    /// # Errors
    /// As for [`writable`](Self::writable).
    pub fn read_only(
        source: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue> {
        Ok(Self { read_only: true, ..Self::writable(source, destination)? })
    }

    /// Returns the path on the host.
    pub fn source(&self) -> &Path {
        &self.source
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
    fn a_volume_name_is_no_mount_source() {
        assert!(BindMount::writable("data", "/data").is_err());
        assert!(BindMount::writable("/data", "data").is_err());
    }
}
