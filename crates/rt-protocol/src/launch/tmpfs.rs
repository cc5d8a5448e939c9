//! A file system in memory that a new container mounts.

use std::path::PathBuf;

use crate::{ContainerPath, InvalidValue};

/// An empty directory in memory, which is gone when the container stops.
///
/// ```
/// use rt_protocol::{LaunchSpec, Tmpfs};
///
/// let spec = LaunchSpec::builder("job", "alpine")
///     .read_only_root(true)
///     .tmpfs(Tmpfs::new("/tmp")?.with_size(64 << 20))
///     .build()?;
/// assert_eq!(spec.tmpfs()[0].mode(), 0o1777);
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Tmpfs {
    destination: ContainerPath,
    #[cfg_attr(feature = "serde", serde(default))]
    size: Option<u64>,
    #[cfg_attr(feature = "serde", serde(default = "any_user"))]
    mode: u32,
}

/// The mode with which any user may create files.
const fn any_user() -> u32 {
    0o1777
}

impl Tmpfs {
    /// Returns one at this path, in which any user may create files.
    ///
    /// # Errors
    /// A path that is not absolute, or has a NUL byte.
    pub fn new(destination: impl Into<PathBuf>) -> Result<Self, InvalidValue> {
        Ok(Self { destination: ContainerPath::new(destination)?, size: None, mode: any_user() })
    }

    /// Limits its size, in bytes. 0 is invalid. The kernel's default is half of the memory.
    #[must_use]
    pub fn with_size(self, bytes: u64) -> Self {
        Self { size: Some(bytes), ..self }
    }

    /// Sets the mode of the directory, such as `0o700`. The default is `0o1777`.
    #[must_use]
    pub fn with_mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// Returns the path in the container.
    pub fn destination(&self) -> &ContainerPath {
        &self.destination
    }

    /// Returns the limit in bytes; `None` for the kernel's default.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Returns the mode of the directory.
    pub fn mode(&self) -> u32 {
        self.mode
    }
}
