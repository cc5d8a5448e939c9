//! A host directory or file for a new container. What is mounted in a running one is a `MountInfo`.

use std::path::{Path, PathBuf};

use crate::{ContainerPath, InvalidValue};

/// A host directory or file that is bound into the container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BindMount {
    source: PathBuf,
    destination: ContainerPath,
    read_only: bool,
}

impl BindMount {
    /// A mount that the container may write to.
    ///
    /// # Errors
    /// A source or destination that is not absolute or contains a NUL byte.
    pub fn writable(
        source: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue> {
        let source = source.into();
        if !source.is_absolute() || source.as_os_str().as_encoded_bytes().contains(&0) {
            // A relative one would be the name of a volume.
            return Err(InvalidValue::new("mount source", source, "it must be absolute and without NUL"));
        }
        Ok(Self { source, destination: ContainerPath::new(destination)?, read_only: false })
    }

    /// A mount that the container can only read.
    ///
    /// # Errors
    /// As for [`writable`](Self::writable).
    pub fn read_only(
        source: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Result<Self, InvalidValue> {
        Ok(Self { read_only: true, ..Self::writable(source, destination)? })
    }

    /// The path on the host.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The path in the container.
    pub fn destination(&self) -> &ContainerPath {
        &self.destination
    }

    /// Whether the container can only read it.
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
