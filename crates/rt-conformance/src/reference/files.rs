//! The files of a guest in memory, and directories of the host that are mounted in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rt_protocol::{CopyOptions, ErrorKind};

/// A file or a directory.
#[derive(Clone, Debug)]
enum Entry {
    Directory,
    File { bytes: Vec<u8>, executable: bool },
}

/// Paths are absolute. There are no links, so paths are used as they are.
#[derive(Debug)]
pub(super) struct Files {
    entries: BTreeMap<PathBuf, Entry>,
    mounts: Vec<Mounted>,
    /// If the root is read-only: the directories in it that are not.
    writable: Option<Vec<PathBuf>>,
}

#[derive(Debug)]
struct Mounted {
    source: PathBuf,
    dest: PathBuf,
    read_only: bool,
}

impl Default for Files {
    fn default() -> Self {
        let mut entries: BTreeMap<_, _> =
            ["/", "/bin", "/tmp", "/mnt"].into_iter().map(|path| (path.into(), Entry::Directory)).collect();
        entries.insert("/bin/sh".into(), Entry::File { bytes: Vec::new(), executable: true });
        Self { entries, mounts: Vec::new(), writable: None }
    }
}

impl Files {
    pub(super) fn exists(&self, path: &Path) -> bool {
        self.entries.contains_key(path)
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        matches!(self.entries.get(path), Some(Entry::Directory))
    }

    pub(super) fn is_executable(&self, path: &Path) -> bool {
        matches!(self.entries.get(path), Some(Entry::File { executable: true, .. }))
    }

    pub(super) fn read(&self, path: &Path) -> Option<Vec<u8>> {
        if let Some((host, _)) = self.on_host(path) {
            return fs::read(host).ok();
        }
        match self.entries.get(path)? {
            Entry::File { bytes, .. } => Some(bytes.clone()),
            Entry::Directory => None,
        }
    }

    /// Returns the sorted names in a directory.
    pub(super) fn names(&self, directory: &Path) -> Vec<String> {
        let inside = self.entries.keys().filter(|path| path.parent() == Some(directory));
        inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
    }

    /// Writes a file; returns whether that was possible.
    pub(super) fn write(&mut self, path: &Path, bytes: Vec<u8>) -> bool {
        if let Some((host, read_only)) = self.on_host(path) {
            return !read_only && fs::write(host, bytes).is_ok();
        }
        if self.writable.as_ref().is_some_and(|writable| !writable.iter().any(|dir| path.starts_with(dir))) {
            return false;
        }
        let good = path.parent().is_some_and(|parent| self.is_directory(parent)) && !self.is_directory(path);
        if good {
            self.entries.insert(path.into(), Entry::File { bytes, executable: false });
        }
        good
    }

    pub(super) fn make_directory(&mut self, path: &Path) {
        for directory in path.ancestors() {
            self.entries.entry(directory.into()).or_insert(Entry::Directory);
        }
    }

    pub(super) fn read_only_root(&mut self, writable: Vec<PathBuf>) {
        self.writable = Some(writable);
    }

    pub(super) fn mount(&mut self, source: PathBuf, dest: PathBuf, read_only: bool) {
        self.make_directory(&dest);
        self.mounts.push(Mounted { source, dest, read_only });
    }

    pub(super) fn copy_in(
        &mut self,
        source: &Path,
        dest: &Path,
        options: CopyOptions,
    ) -> Result<(), ErrorKind> {
        let known = fs::metadata(source).map_err(|_| ErrorKind::NoSuchPath)?;
        let dest = match source.file_name() {
            Some(name) if known.is_file() && self.is_directory(dest) => dest.join(name),
            _ => dest.to_path_buf(),
        };
        if let Some(parent) = dest.parent() {
            if options.create_parents {
                self.make_directory(parent);
            }
            if !self.is_directory(parent) {
                return Err(ErrorKind::NoSuchPath);
            }
        }
        self.take(source, &dest).map_err(|_| ErrorKind::System)
    }

    fn take(&mut self, source: &Path, dest: &Path) -> std::io::Result<()> {
        let known = fs::metadata(source)?;
        if known.is_dir() {
            self.make_directory(dest);
            for entry in fs::read_dir(source)? {
                let entry = entry?;
                self.take(&entry.path(), &dest.join(entry.file_name()))?;
            }
        } else {
            let executable = known.permissions().mode() & 0o111 != 0;
            self.entries.insert(dest.into(), Entry::File { bytes: fs::read(source)?, executable });
        }
        Ok(())
    }

    /// Returns the path on the host if it is in a mount, and whether that mount is read-only.
    fn on_host(&self, path: &Path) -> Option<(PathBuf, bool)> {
        self.mounts.iter().find_map(|mount| {
            let rest = path.strip_prefix(&mount.dest).ok()?;
            Some((mount.source.join(rest), mount.read_only))
        })
    }
}
