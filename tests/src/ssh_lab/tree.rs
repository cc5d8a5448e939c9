//! A small file tree in memory, and its three forms: a directory, a tar archive, an initramfs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

/// Files by their paths below the root; a directory comes before what is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    kind: Kind,
    mode: u32,
    /// The user's number, and the group's.
    owner: u32,
}

#[derive(Clone, Debug)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

impl Tree {
    /// A directory of root's that everybody may read, and those on the way to it.
    pub(super) fn directory(&mut self, path: &str) {
        self.owned_directory(path, 0o755, 0);
    }

    /// A directory with this mode, of this user.
    pub(super) fn owned_directory(&mut self, path: &str, mode: u32, owner: u32) {
        self.put(path, Entry { kind: Kind::Directory, mode, owner });
    }

    /// A file of root's.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.put(path, Entry { kind: Kind::File(content.into()), mode, owner: 0 });
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &str, target: impl Into<PathBuf>) {
        self.put(path, Entry { kind: Kind::Link(target.into()), mode: 0o777, owner: 0 });
    }

    fn put(&mut self, path: &str, entry: Entry) {
        let path = Path::new(path.trim_start_matches('/'));
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            let directory = Entry { kind: Kind::Directory, mode: 0o755, owner: 0 };
            self.entries.entry(parent.to_owned()).or_insert(directory);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Writes the tree below an existing directory. Needs root for the owners.
    pub(super) fn unpack(&self, root: &Path) -> io::Result<()> {
        for (path, entry) in &self.entries {
            let path = root.join(path);
            match &entry.kind {
                Kind::Directory => fs::create_dir(&path)?,
                Kind::File(content) => fs::write(&path, content)?,
                Kind::Link(target) => {
                    symlink(target, &path)?;
                    continue;
                }
            }
            chown(&path, Some(entry.owner), Some(entry.owner))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode))?;
        }
        Ok(())
    }

    /// The tree as a tar archive.
    pub(super) fn tar(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = Header::new_gnu();
            header.set_size(0);
            header.set_mode(entry.mode);
            header.set_uid(entry.owner.into());
            header.set_gid(entry.owner.into());
            match &entry.kind {
                Kind::Directory => {
                    header.set_entry_type(EntryType::Directory);
                    archive.append_data(&mut header, path, io::empty())?;
                }
                Kind::File(content) => {
                    header.set_size(content.len() as u64);
                    archive.append_data(&mut header, path, &**content)?;
                }
                Kind::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        archive.into_inner()
    }

    /// The tree as an archive that Linux unpacks when it boots. Two of them, one after the other,
    /// are one: the second replaces files of the first
    /// (`Documentation/driver-api/early-userspace/buffer-format.rst` of Linux).
    pub(super) fn initramfs(&self) -> io::Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            // The types of files in a mode: stat(2).
            let (kind, content) = match &entry.kind {
                Kind::Directory => (0o040_000, &[][..]),
                Kind::File(content) => (0o100_000, &**content),
                Kind::Link(target) => (0o120_000, target.as_os_str().as_encoded_bytes()),
            };
            let name = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
            let builder = cpio::NewcBuilder::new(name).ino(number).mode(kind | entry.mode);
            let size = u32::try_from(content.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
            let mut file = builder.uid(entry.owner).gid(entry.owner).write(&mut archive, size);
            file.write_all(content)?;
            file.finish()?;
        }
        cpio::newc::trailer(&mut archive)?;
        Ok(archive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_before_what_is_in_it() {
        let mut tree = Tree::default();
        tree.file("/etc/ssh/host_key", 0o600, "secret");
        tree.link("/bin/sh", "busybox");
        tree.owned_directory("/etc", 0o700, 0);
        let names: Vec<_> = tree.entries.keys().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["bin", "bin/sh", "etc", "etc/ssh", "etc/ssh/host_key"]);
        assert_eq!(tree.entries[Path::new("etc")].mode, 0o700);

        let archive = tree.tar().unwrap();
        let mut archive = tar::Archive::new(&*archive);
        let modes: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().header().mode().unwrap()).collect();
        assert_eq!(modes, [0o755, 0o777, 0o700, 0o755, 0o600]);

        let archive = tree.initramfs().unwrap();
        let reader = cpio::NewcReader::new(&*archive).unwrap();
        assert_eq!((reader.entry().name(), reader.entry().mode()), ("bin", 0o040_755));
    }
}
