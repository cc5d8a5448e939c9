//! Paths of a host whose files are below another root directory.

use std::path::{Path, PathBuf};

/// Returns an absolute path as it is below another root.
pub(crate) fn rooted_path(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
