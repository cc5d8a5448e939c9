//! Operations on files by `podman cp` with an archive of one entry, for containers that do not run
//! or have no tools.
//!
//! podman follows a symbolic link at the end of the path, whichever operation it is for. It
//! replaces a file by a new one, and does not tell the owner of the old one. Of a directory, only
//! the first header is read.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use rt_process::{FileFailure, file_path};
use rt_protocol::{
    ContainerPath, Error, ErrorKind, FileInfo, FileKind, FileMode, FileOptions, FileOwner, Result,
    file_operation,
};

use super::file_target::FileTarget;
use super::first_entry::{FirstEntry, header};
use crate::copy::tar;

pub(super) fn write(
    files: &FileTarget<'_>,
    path: &ContainerPath,
    bytes: &[u8],
    options: &FileOptions,
) -> Result<()> {
    let operation = file_operation::WRITE;
    file_path::check_write(path)?;
    let before = stat(files, path)?;
    match before.as_ref().map(|info| info.kind) {
        Some(FileKind::Directory) => return Err(FileFailure::of_errno(21).into_error(operation, path)),
        Some(FileKind::File) | None => {}
        Some(_) => return Err(FileFailure::special().into_error(operation, path)),
    }
    let mode = options.mode.or(before.map(|info| info.mode)).unwrap_or(FileMode::DEFAULT);
    let owner = options.owner.unwrap_or(FileOwner::ROOT);
    let path_bytes = path.as_os_str().as_bytes();
    // podman makes the parents of an entry, but not the directory that it unpacks into.
    let slash = path_bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (parent, name) = if options.parents {
        (&path_bytes[..1], &path_bytes[1..])
    } else {
        (&path_bytes[..slash.max(1)], &path_bytes[slash + 1..])
    };
    let parent = ContainerPath::new(OsStr::from_bytes(parent))?;
    let size = bytes.len() as u64;
    let head = header(name, size, mode, owner)
        .ok_or_else(|| Error::new(ErrorKind::InvalidRequest, operation, "the name is too long"))?;
    let fill = vec![0; bytes.len().next_multiple_of(512) - bytes.len() + 1024];
    let mut archive = head.as_slice().chain(bytes).chain(fill.as_slice());
    tar::unpack_with_owners(files.container, &mut archive, &parent, files.until)
        .map_err(|error| meant(error, operation, path))
}

pub(super) fn read(files: &FileTarget<'_>, path: &ContainerPath, limit: u64) -> Result<Vec<u8>> {
    let operation = file_operation::READ;
    let (info, contents) = first_entry(files, path, limit, operation)?;
    match info.kind {
        FileKind::File if info.size > limit => {
            Err(FileFailure::too_large(Some(info.size), limit).into_error(operation, path))
        }
        FileKind::File => Ok(contents),
        FileKind::Directory => Err(FileFailure::of_errno(21).into_error(operation, path)),
        _ => Err(FileFailure::special().into_error(operation, path)),
    }
}

pub(super) fn stat(files: &FileTarget<'_>, path: &ContainerPath) -> Result<Option<FileInfo>> {
    match first_entry(files, path, 0, file_operation::STAT) {
        Err(error) if error.kind() == ErrorKind::NoSuchPath => Ok(None),
        found => found.map(|(info, _)| Some(info)),
    }
}

/// Returns what is at a path, and its contents up to the limit.
fn first_entry(
    files: &FileTarget<'_>,
    path: &ContainerPath,
    limit: u64,
    operation: &'static str,
) -> Result<(FileInfo, Vec<u8>)> {
    file_path::check_length(operation, path)?;
    let mut entry = FirstEntry::up_to(limit);
    let packed = tar::pack_itself(files.container, path, &mut entry, files.until);
    let is_complete = entry.is_complete();
    match (entry.info, packed) {
        // It was ended as soon as nothing more was needed.
        (Some(info), _) if is_complete => Ok((info, entry.contents)),
        (_, Err(error)) => Err(meant(error, operation, path)),
        (_, Ok(())) => {
            let message = format!("`{path}`: podman's archive cannot be read");
            Err(Error::new(ErrorKind::InvalidResponse, operation, message))
        }
    }
}

/// Returns the error with its meaning for a file, if podman's words have one.
fn meant(error: Error, operation: &'static str, path: &ContainerPath) -> Error {
    let error = error.during(operation);
    if error.kind() != ErrorKind::BackendFailed {
        return error;
    }
    let failure = FileFailure::of_message(error.message());
    if failure.kind() == ErrorKind::BackendFailed { error } else { failure.into_error(operation, path) }
}
