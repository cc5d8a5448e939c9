//! Copies between the host and the files of a container in memory.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rt_protocol::{ErrorKind, UntilError};

use super::file_system::FileSystem;
use crate::streams::waiter::Waiter;

/// Files by absolute path.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Why a copy failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    Stopped(UntilError),
    Failed(ErrorKind, PathBuf, Option<io::Error>),
}

impl From<UntilError> for CopyError {
    fn from(stop: UntilError) -> Self {
        Self::Stopped(stop)
    }
}

/// Reads a file or the contents of a directory from the host, with their paths below `dest`. If
/// `dest` is already a directory, a file keeps its own name.
pub(crate) fn read_host(
    src: &Path,
    dest: &Path,
    dest_is_directory: bool,
    waiter: &Waiter,
) -> Result<Files, CopyError> {
    // A `src` that is a link is followed, as podman does.
    let metadata = fs::metadata(src).map_err(failed(src))?;
    let mut files = Files::new();
    if !metadata.is_dir() {
        files.push((target(src, dest, dest_is_directory), fs::read(src).map_err(failed(src))?));
        return Ok(files);
    }
    let mut directories = vec![(src.to_owned(), dest.to_owned())];
    while let Some((from, to)) = directories.pop() {
        for entry in fs::read_dir(&from).map_err(failed(&from))? {
            waiter.check()?;
            let entry = entry.map_err(failed(&from))?;
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(failed(&path))?;
            if kind.is_dir() {
                directories.push((path, target));
            } else if kind.is_file() {
                files.push((target, fs::read(&path).map_err(failed(&path))?));
            }
        }
    }
    Ok(files)
}

/// Writes a file or the contents of a directory to the host.
pub(crate) fn write_host(
    files: &FileSystem,
    src: &Path,
    dest: &Path,
    create_parents: bool,
    waiter: &Waiter,
) -> Result<(), CopyError> {
    if create_parents && let Some(parent) = dest.parent() {
        fs::create_dir_all(parent).map_err(failed(parent))?;
    }
    if let Some(bytes) = files.file(src) {
        let target = target(src, dest, dest.is_dir());
        return fs::write(&target, bytes).map_err(failed(&target));
    }
    if !files.is_directory(src) {
        return Err(CopyError::Failed(ErrorKind::NoSuchPath, src.to_owned(), None));
    }
    if !dest.is_dir() {
        fs::create_dir(dest).map_err(failed(dest))?;
    }
    for (path, bytes) in files.files_below(src) {
        waiter.check()?;
        let Ok(below) = path.strip_prefix(src) else { continue };
        let target = dest.join(below);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        fs::write(&target, bytes).map_err(failed(&target))?;
    }
    Ok(())
}

/// Returns the path without `.` and `..`, so that nothing is written outside the destination.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(word) => normal.push(word),
            Component::ParentDir => drop(normal.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    normal
}

/// Returns where a file goes: into a directory by its own name.
fn target(src: &Path, dest: &Path, dest_is_directory: bool) -> PathBuf {
    match src.file_name() {
        Some(own) if dest_is_directory => dest.join(own),
        _ => dest.to_owned(),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CopyError + use<'_> {
    |error| {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        let kind = if is_missing { ErrorKind::NoSuchPath } else { ErrorKind::System };
        CopyError::Failed(kind, path.to_owned(), Some(error))
    }
}
