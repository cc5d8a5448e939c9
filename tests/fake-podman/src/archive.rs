//! Tar archives of root file systems and of copies.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use rustix::process::geteuid;

use crate::inside;

/// Unpacks an archive below a directory. As root, owners are kept; a header without one means root,
/// as podman takes it.
pub(crate) fn unpack(source: impl Read, directory: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(source);
    archive.set_preserve_permissions(true);
    archive.set_overwrite(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = inside::locate_last(directory, &entry.path()?);
        let owner = (entry.header().uid().unwrap_or(0), entry.header().gid().unwrap_or(0));
        let mode = entry.header().mode().ok();
        if !entry.unpack_in(directory)? || !geteuid().is_root() {
            continue;
        }
        let number = |id: u64| u32::try_from(id).map_err(io::Error::other);
        lchown(&path, Some(number(owner.0)?), Some(number(owner.1)?))?;
        // Changing the owner takes the set-user bits away.
        if let Some(mode) = mode.filter(|mode| mode & 0o6000 != 0 && !path.is_symlink()) {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Packs a file or a directory. With `contents`, a directory's entries have no leading directory.
pub(crate) fn pack(source: &Path, name: &str, contents: bool, target: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(target);
    archive.follow_symlinks(false);
    if !fs::metadata(source)?.is_dir() {
        // The source itself is followed, as podman follows it.
        archive.append_file(name, &mut fs::File::open(source)?)?;
    } else if contents {
        archive.append_dir_all("", source)?;
    } else {
        archive.append_dir_all(name, source)?;
    }
    archive.into_inner()?.flush()
}

/// How many bytes the files below a directory have.
pub(crate) fn size(directory: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Files come and go while a container runs.
        let Ok(known) = entry.path().symlink_metadata() else { continue };
        total += if known.is_dir() { size(&entry.path()).unwrap_or_default() } else { known.len() };
    }
    Ok(total)
}

/// Copies a directory's entries, with modes, owners and links, into another that exists.
pub(crate) fn copy_tree(from: &Path, to: &Path, keep_owners: bool) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        copy_entry(&entry.path(), &target, keep_owners)?;
    }
    Ok(())
}

/// Copies one entry; a directory is merged into one that is there, and a link stays a link.
pub(crate) fn copy_entry(from: &Path, to: &Path, keep_owners: bool) -> io::Result<()> {
    let known = from.symlink_metadata()?;
    if known.is_dir() {
        // A link is no directory here, wherever it leads: podman refuses it, too.
        if !to.symlink_metadata().is_ok_and(|there| there.is_dir()) {
            fs::create_dir(to)?;
        }
        fs::set_permissions(to, known.permissions())?;
        copy_tree(from, to, keep_owners)?;
    } else {
        if to.symlink_metadata().is_ok() {
            fs::remove_file(to)?;
        }
        if known.is_symlink() {
            symlink(fs::read_link(from)?, to)?;
        } else if known.is_file() {
            fs::copy(from, to)?;
            fs::set_permissions(to, known.permissions())?;
        }
    }
    if geteuid().is_root() && to.symlink_metadata().is_ok() {
        let (user, group) = if keep_owners { (known.uid(), known.gid()) } else { (0, 0) };
        lchown(to, Some(user), Some(group))?;
        if !known.is_symlink() {
            // Changing the owner takes the set-user bits away.
            fs::set_permissions(to, known.permissions())?;
        }
    }
    Ok(())
}
