//! Copies files and directories into a container.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rt_protocol::{ContainerPath, CopyOptions, Error, Result, Until};

use super::glob;
use super::host_path::{self, HostSource};
use super::symlink_alias::{EmptyDirectory, SymlinkAlias};
use super::{Copied, Copier, INTO, container_path, contents_of, system};
use crate::cli::failure::Failure;
use crate::state::target::Target;

/// Copies a file, or the contents of a directory, into the container.
pub(crate) fn copy_in(
    container: &Target,
    src: &Path,
    dest: &ContainerPath,
    options: CopyOptions,
    until: &Until,
) -> Result<()> {
    let copy = || -> Result<()> {
        let source = HostSource::find(src)?;
        let dest = Destination::new(container_path(INTO, dest)?, &source)?;
        let copier = Copier { container, target: container.id_or_name(until)?, until };
        match send(&copier, &source, &dest)? {
            Ok(()) => Ok(()),
            Err(refused) if options.create_parents && refused.failure() == Failure::NoSuchPath => {
                let empty = EmptyDirectory::new().map_err(no_directory)?;
                make_directory(&copier, &empty, dest.above())?;
                send(&copier, &source, &dest)?.map_err(|refused| refused.error(INTO))
            }
            Err(refused) => Err(refused.error(INTO)),
        }
    };
    copy().map_err(|error| error.in_container(container.name()))
}

/// A destination in the container.
#[derive(Debug)]
struct Destination {
    /// Without slashes and dots at its end.
    path: PathBuf,
    /// Whether its text says that a file goes into it: it ends with a slash or `/.`.
    is_into: bool,
}

impl Destination {
    fn new(given: &Path, source: &HostSource) -> Result<Self> {
        let words = given.as_os_str().as_bytes();
        let is_into = !source.is_directory && (words.ends_with(b"/") || words.ends_with(b"/."));
        let dest = Self { path: given.components().collect(), is_into };
        // If podman looks up a directory as a pattern, it may write to another one.
        glob::check_above(INTO, &dest.word())?;
        Ok(dest)
    }

    /// Returns the path in podman's words.
    fn word(&self) -> PathBuf {
        // Joining an empty path adds a slash.
        if self.is_into { self.path.join("") } else { self.path.clone() }
    }

    /// Returns the directory that must exist before the copy.
    fn above(&self) -> &Path {
        if self.is_into { &self.path } else { self.path.parent().unwrap_or(Path::new("/")) }
    }

    /// Returns the name of the copy; any name works if the destination is certain to exist.
    fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or(OsStr::new("source"))
    }
}

/// Copies the source to the destination, by a name that podman cannot change.
fn send(copier: &Copier<'_>, source: &HostSource, dest: &Destination) -> Copied {
    let symlink_alias = |name: &OsStr| SymlinkAlias::new(&source.real, name).map_err(no_directory);
    if source.is_directory {
        // Of hard links, podman renames only one end, unless the copy needs no other name.
        return if source.is_plain && !host_path::has_hard_links(&source.real, copier.until) {
            copier.copy_in(contents_of(&source.path).as_os_str(), &dest.path)
        } else {
            copier.copy_in(&symlink_alias(dest.name())?.contents(), &dest.path)
        };
    }
    let own_name = source.path.file_name().unwrap_or(OsStr::new("source"));
    let is_plain = glob::is_plain(&dest.path);
    if is_plain && source.is_plain {
        return copier.copy_in(source.path.as_os_str(), &dest.word());
    }
    if is_plain && glob::is_plain(Path::new(own_name)) {
        return copier.copy_in(symlink_alias(own_name)?.word(), &dest.word());
    }
    // In one case podman would name the copy after the pattern, in the other after what matched it.
    if !is_directory(copier, &dest.path)? {
        copier.copy_in(symlink_alias(dest.name())?.word(), &dest.word())
    } else if is_plain {
        copier.copy_in(symlink_alias(own_name)?.word(), &dest.path.join(""))
    } else {
        // It may be the destination, or another directory that the pattern matches.
        Err(glob::refused(INTO))
    }
}

/// Returns whether podman considers the path a directory, by copying nothing into it.
fn is_directory(copier: &Copier<'_>, path: &Path) -> Result<bool> {
    let empty = EmptyDirectory::new().map_err(no_directory)?;
    // With a slash at the end, podman creates nothing.
    Ok(copier.copy_in(empty.contents(), &path.join(""))?.is_ok())
}

/// Creates `directory` and its missing parents by copying nothing into it. Existing directories are
/// not touched: one is created only after podman has reported that something below it has no place.
fn make_directory(copier: &Copier<'_>, empty: &EmptyDirectory, directory: &Path) -> Result<()> {
    match copier.copy_in(empty.contents(), directory)? {
        Ok(()) => Ok(()),
        Err(refused) => match directory.parent() {
            Some(parent) if refused.failure() == Failure::NoSuchPath && parent != Path::new("/") => {
                make_directory(copier, empty, parent)?;
                copier.copy_in(empty.contents(), directory)?.map_err(|refused| refused.error(INTO))
            }
            _ => Err(refused.error(INTO)),
        },
    }
}

fn no_directory(cause: io::Error) -> Error {
    system(INTO, "no temporary directory can be made", cause)
}
