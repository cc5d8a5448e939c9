//! Operations on files by an agent, on a system that has none.

use rt_protocol::{ContainerPath, DirEntry, FileInfo, FileOptions, Result};

use super::file_target::FileTarget;

pub(super) fn write(
    _files: &FileTarget<'_>,
    _path: &ContainerPath,
    _bytes: &[u8],
    _options: &FileOptions,
) -> Result<Option<()>> {
    Ok(None)
}

pub(super) fn read(_files: &FileTarget<'_>, _path: &ContainerPath, _limit: u64) -> Result<Option<Vec<u8>>> {
    Ok(None)
}

#[expect(clippy::option_option, reason = "no agent, or nothing is there")]
pub(super) fn stat(_files: &FileTarget<'_>, _path: &ContainerPath) -> Result<Option<Option<FileInfo>>> {
    Ok(None)
}

pub(super) fn list(_files: &FileTarget<'_>, _path: &ContainerPath) -> Result<Option<Vec<DirEntry>>> {
    Ok(None)
}

pub(super) fn remove(_files: &FileTarget<'_>, _path: &ContainerPath) -> Result<Option<()>> {
    Ok(None)
}
