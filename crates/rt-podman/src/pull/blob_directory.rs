//! The directory in which podman stores layers while they are transferred.
//!
//! A podman that a signal ends leaves them behind (`storage…` in its temporary directory, 4.3.1),
//! up to the size of the image, and nobody removes them. So each pull has a directory of its own.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rt_process::ExecMarker;

/// A directory that only its owner can read. Dropping it removes it.
#[derive(Debug)]
pub(super) struct BlobDirectory(PathBuf);

impl BlobDirectory {
    /// Creates one where podman would store the layers itself; `None` if that is not possible. Then
    /// podman does what it does by itself.
    pub(super) fn create(parent: &Path) -> Option<Self> {
        let path = parent.join(format!("rt-pull-{}", ExecMarker::fresh().value()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                tracing::debug!(%error, path = %parent.display(), "a pull has no directory of its own");
                None
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BlobDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the layers of a pull were not removed");
        }
    }
}
