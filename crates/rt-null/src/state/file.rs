//! Files of containers in memory: what was copied in can be looked at and copied out again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rt_protocol::{ErrorKind, UntilError};

use crate::streams::waiter::Waiter;

/// The files of one container by their absolute paths. Directories exist as far as something is in them, and every
/// missing parent counts as there.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

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

/// Reads a file or a directory's contents from the host, by the paths they get below `dest`; a file keeps its own name
/// when `dest` is a directory already.
pub(crate) fn read_host(
    src: &Path,
    dest: &Path,
    dest_is_directory: bool,
    waiter: &Waiter,
) -> Result<Files, CopyError> {
    let failed =
        |path: &Path, error: io::Error| CopyError::Failed(kind_of(&error), path.to_owned(), Some(error));
    // A link that was named is followed, as podman does.
    let metadata = fs::metadata(src).map_err(|error| failed(src, error))?;
    let mut files = Files::new();
    if !metadata.is_dir() {
        let target = match src.file_name() {
            Some(own) if dest_is_directory => dest.join(own),
            _ => dest.to_owned(),
        };
        files.insert(target, fs::read(src).map_err(|error| failed(src, error))?);
        return Ok(files);
    }
    let mut directories = vec![(src.to_owned(), dest.to_owned())];
    while let Some((from, to)) = directories.pop() {
        for entry in fs::read_dir(&from).map_err(|error| failed(&from, error))? {
            waiter.check()?;
            let entry = entry.map_err(|error| failed(&from, error))?;
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(|error| failed(&path, error))?;
            if kind.is_dir() {
                directories.push((path, target));
            } else if kind.is_file() {
                files.insert(target, fs::read(&path).map_err(|error| failed(&path, error))?);
            }
        }
    }
    Ok(files)
}

/// Writes a file or a directory's contents to the host.
pub(crate) fn write_host(
    files: &Files,
    src: &Path,
    dest: &Path,
    create_parents: bool,
    waiter: &Waiter,
) -> Result<(), CopyError> {
    let failed =
        |path: &Path, error: io::Error| CopyError::Failed(kind_of(&error), path.to_owned(), Some(error));
    if create_parents && let Some(parent) = dest.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    }
    if let Some(bytes) = files.get(src) {
        let target = match src.file_name() {
            Some(own) if dest.is_dir() => dest.join(own),
            _ => dest.to_owned(),
        };
        return fs::write(&target, bytes).map_err(|error| failed(&target, error));
    }
    if !is_directory(files, src) {
        return Err(CopyError::Failed(ErrorKind::NoSuchPath, src.to_owned(), None));
    }
    if !dest.is_dir() {
        fs::create_dir(dest).map_err(|error| failed(dest, error))?;
    }
    for (path, bytes) in files {
        waiter.check()?;
        let Ok(below) = path.strip_prefix(src) else { continue };
        let target = dest.join(below);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        fs::write(&target, bytes).map_err(|error| failed(&target, error))?;
    }
    Ok(())
}

/// Whether something is below the path.
pub(crate) fn is_directory(files: &Files, path: &Path) -> bool {
    path == Path::new("/") || files.keys().any(|file| file != path && file.starts_with(path))
}

/// The path without `.` and `..`, so that nothing that is copied out ends up beside its destination.
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

fn kind_of(error: &io::Error) -> ErrorKind {
    if error.kind() == io::ErrorKind::NotFound { ErrorKind::NoSuchPath } else { ErrorKind::System }
}
