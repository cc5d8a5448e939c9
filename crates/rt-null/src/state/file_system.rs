//! The files of a container in memory: files, directories and symbolic links. Copies to and from
//! the host are in `file`, tar streams in `tar_stream`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use rt_protocol::{
    ContainerPath, DirEntry, ErrorKind, FileInfo, FileKind, FileMode, FileOptions, FileOwner, LaunchSpec,
};

/// How many symbolic links one path may lead through, as in Linux.
const MOST_LINKS: usize = 40;

/// How long a name, and a path, may be, in bytes.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4095;

/// Why an operation failed, and of which path.
pub(crate) type Failure = (ErrorKind, String);

/// What is at a path.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(super) content: Content,
    pub(super) mode: FileMode,
    pub(super) owner: FileOwner,
    pub(super) modified: SystemTime,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    File(Vec<u8>),
    Directory,
    Symlink(PathBuf),
}

/// A file system by absolute path. The root is not in it. Missing parents count as directories.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSystem {
    nodes: BTreeMap<PathBuf, Node>,
}

/// Where a container may write, by its launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteRules<'a>(pub(crate) Option<&'a LaunchSpec>);

impl FileSystem {
    /// Puts a file at a path, as a copy does: without symbolic links, whatever is there.
    pub(crate) fn put(&mut self, path: PathBuf, bytes: Vec<u8>, now: SystemTime) {
        self.insert(path, Content::File(bytes), FileMode::DEFAULT, FileOwner::ROOT, now);
    }

    pub(crate) fn make_directory(&mut self, path: &Path, now: SystemTime) {
        for directory in path.ancestors().filter(|path| *path != Path::new("/")) {
            if !matches!(self.nodes.get(directory), Some(Node { content: Content::Directory, .. })) {
                let node = Node { mode: directory_mode(), ..Node::new(Content::Directory, now) };
                self.nodes.insert(directory.to_owned(), node);
            }
        }
    }

    pub(crate) fn make_symlink(&mut self, path: PathBuf, target: PathBuf, now: SystemTime) {
        self.insert(path, Content::Symlink(target), FileMode::of_stat(0o777), FileOwner::ROOT, now);
    }

    /// Returns what is at exactly this path.
    pub(super) fn node(&self, path: &Path) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Returns everything at and below a path.
    pub(super) fn nodes_below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Path, &'a Node)> {
        let from = self.nodes.range(path.to_owned()..).map(|(at, node)| (at.as_path(), node));
        from.filter(move |(at, _)| at.starts_with(path))
    }

    /// Puts something at a path, whatever is there; a directory keeps what is in it.
    pub(super) fn put_node(&mut self, path: PathBuf, node: Node) {
        if !matches!(node.content, Content::Directory) {
            self.nodes.retain(|at, _| !at.starts_with(&path));
        }
        if let Some(parent) = path.parent() {
            self.make_directory(parent, node.modified);
        }
        self.nodes.insert(path, node);
    }

    /// Returns the contents of the file at exactly this path.
    pub(crate) fn file(&self, path: &Path) -> Option<&[u8]> {
        match &self.nodes.get(path)?.content {
            Content::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns all files at and below a path.
    pub(crate) fn files_below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Path, &'a [u8])> {
        self.nodes_below(path).filter_map(|(at, node)| match &node.content {
            Content::File(bytes) => Some((at, bytes.as_slice())),
            _ => None,
        })
    }

    pub(crate) fn is_directory(&self, path: &Path) -> bool {
        let is_made = matches!(self.nodes.get(path), Some(Node { content: Content::Directory, .. }));
        path == Path::new("/") || is_made
    }

    pub(crate) fn write(
        &mut self,
        path: &ContainerPath,
        bytes: &[u8],
        options: FileOptions,
        rules: WriteRules<'_>,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let given = path.as_path();
        if path.names_directory() {
            return Err(failure(ErrorKind::IsADirectory, given));
        }
        let place = self.resolve(given, !options.atomic)?;
        if self.is_directory(&place) {
            return Err(failure(ErrorKind::IsADirectory, given));
        }
        rules.check(self, &place, bytes.len() as u64).map_err(|kind| failure(kind, given))?;
        let before = match self.nodes.get(&place) {
            Some(Node { content: Content::File(_), mode, owner, .. }) => (*mode, *owner),
            _ => (FileMode::DEFAULT, FileOwner::ROOT),
        };
        let (mode, owner) = (options.mode.unwrap_or(before.0), options.owner.unwrap_or(before.1));
        self.insert(place, Content::File(bytes.to_vec()), mode, owner, now);
        Ok(())
    }

    pub(crate) fn read(&self, path: &ContainerPath, limit: u64) -> Result<&[u8], Failure> {
        let given = path.as_path();
        let place = self.resolve(given, true)?;
        match self.nodes.get(&place).map(|node| &node.content) {
            Some(Content::File(_)) if path.names_directory() => Err(failure(ErrorKind::NotADirectory, given)),
            Some(Content::File(bytes)) if bytes.len() as u64 > limit => {
                let message = format!("`{}` has {} bytes, more than {limit}", given.display(), bytes.len());
                Err((ErrorKind::FileTooLarge, message))
            }
            Some(Content::File(bytes)) => Ok(bytes),
            _ if self.is_directory(&place) => Err(failure(ErrorKind::IsADirectory, given)),
            _ => Err(failure(ErrorKind::NoSuchPath, given)),
        }
    }

    pub(crate) fn stat(&self, path: &ContainerPath) -> Result<Option<FileInfo>, Failure> {
        let given = path.as_path();
        let place = self.resolve(given, path.names_directory())?;
        if place == Path::new("/") {
            return Ok(Some(FileInfo::new(FileKind::Directory, 0, directory_mode(), FileOwner::ROOT)));
        }
        let Some(node) = self.nodes.get(&place) else { return Ok(None) };
        if path.names_directory() && !matches!(node.content, Content::Directory) {
            return Err(failure(ErrorKind::NotADirectory, given));
        }
        Ok(Some(node.info()))
    }

    pub(crate) fn list(&self, path: &ContainerPath) -> Result<Vec<DirEntry>, Failure> {
        let given = path.as_path();
        let place = self.resolve(given, true)?;
        if !self.is_directory(&place) {
            let is_there = self.nodes.contains_key(&place);
            let kind = if is_there { ErrorKind::NotADirectory } else { ErrorKind::NoSuchPath };
            return Err(failure(kind, given));
        }
        let inside = self.nodes.range(place.clone()..).filter(|(at, _)| at.parent() == Some(&place));
        let mut entries: Vec<_> =
            inside.filter_map(|(at, node)| Some(DirEntry::new(at.file_name()?, node.info().kind))).collect();
        entries.sort();
        Ok(entries)
    }

    pub(crate) fn remove(&mut self, path: &ContainerPath, rules: WriteRules<'_>) -> Result<(), Failure> {
        let given = path.as_path();
        let last =
            given.as_os_str().as_encoded_bytes().rsplit(|byte| *byte == b'/').find(|part| !part.is_empty());
        if matches!(last, None | Some(b"." | b"..")) {
            return Err((ErrorKind::InvalidRequest, format!("`{}` cannot be removed", given.display())));
        }
        let place = self.resolve(given, false)?;
        if self.nodes.contains_key(&place) {
            rules.check(self, &place, 0).map_err(|kind| failure(kind, given))?;
            self.nodes.retain(|at, _| !at.starts_with(&place));
        }
        Ok(())
    }

    fn insert(&mut self, path: PathBuf, content: Content, mode: FileMode, owner: FileOwner, now: SystemTime) {
        if let Some(parent) = path.parent() {
            self.make_directory(parent, now);
        }
        self.nodes.insert(path, Node { mode, owner, ..Node::new(content, now) });
    }

    /// Returns the path that this one leads to, without links and dots. A link at its end is
    /// followed on request.
    pub(super) fn resolve(&self, path: &Path, follows_last: bool) -> Result<PathBuf, Failure> {
        let too_long = |part: &OsStr| part.len() > NAME_MAX;
        if path.as_os_str().len() > PATH_MAX || path.iter().any(too_long) {
            return Err((ErrorKind::InvalidRequest, String::from("the path is too long")));
        }
        let mut place = PathBuf::from("/");
        let mut ahead: Vec<PathBuf> = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == Path::new("..") {
                place.pop();
                continue;
            }
            let at = place.join(&part);
            match self.nodes.get(&at).map(|node| &node.content) {
                Some(Content::Symlink(target)) if follows_last || !ahead.is_empty() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(failure(ErrorKind::NoSuchPath, path));
                    }
                    if target.is_absolute() {
                        place = PathBuf::from("/");
                    }
                    ahead.extend(parts(target));
                }
                Some(Content::File(_)) if !ahead.is_empty() => {
                    return Err(failure(ErrorKind::NotADirectory, path));
                }
                _ => place = at,
            }
        }
        Ok(place)
    }
}

/// Returns the names of a path and its `..`, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let meant = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().rev().filter(meant).map(|part| PathBuf::from(part.as_os_str())).collect()
}

fn directory_mode() -> FileMode {
    FileMode::of_stat(0o755)
}

fn failure(kind: ErrorKind, path: &Path) -> Failure {
    (kind, format!("`{}`", path.display()))
}

impl Node {
    fn new(content: Content, now: SystemTime) -> Self {
        Self { content, mode: FileMode::DEFAULT, owner: FileOwner::ROOT, modified: now }
    }

    pub(super) fn info(&self) -> FileInfo {
        let (kind, size, target) = match &self.content {
            Content::File(bytes) => (FileKind::File, bytes.len(), None),
            Content::Directory => (FileKind::Directory, 0, None),
            Content::Symlink(target) => (FileKind::Symlink, target.as_os_str().len(), Some(target.clone())),
        };
        let mut info = FileInfo::new(kind, size as u64, self.mode, self.owner);
        info.modified = Some(self.modified);
        info.link_target = target;
        info
    }
}

impl WriteRules<'_> {
    /// Checks that a file of this size may be written to a path, as far as the launch says.
    fn check(self, files: &FileSystem, path: &Path, size: u64) -> Result<(), ErrorKind> {
        let Some(spec) = self.0 else { return Ok(()) };
        let is_in = |destination: &ContainerPath| path.starts_with(destination.as_path());
        if let Some(tmpfs) = spec.tmpfs().iter().find(|tmpfs| is_in(tmpfs.destination())) {
            let others = files.files_below(tmpfs.destination().as_path()).filter(|(at, _)| *at != path);
            let used: u64 = others.map(|(_, bytes)| bytes.len() as u64).sum();
            let is_full = tmpfs.size().is_some_and(|most| used.saturating_add(size) > most);
            return if is_full { Err(ErrorKind::StorageFull) } else { Ok(()) };
        }
        let mounts = spec.mounts().iter().map(|mount| (mount.destination(), mount.is_read_only()));
        let volumes = spec.volumes().iter().map(|volume| (volume.destination(), volume.is_read_only()));
        let mounted = mounts.chain(volumes).find(|(destination, _)| is_in(destination));
        let is_read_only = mounted.map_or(spec.read_only_root(), |(_, is_read_only)| is_read_only);
        if is_read_only { Err(ErrorKind::ReadOnlyFilesystem) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ContainerPath {
        ContainerPath::new(text).unwrap()
    }

    #[test]
    fn links_are_followed_inside_the_root_and_not_for_ever() {
        let (mut files, now) = (FileSystem::default(), SystemTime::UNIX_EPOCH);
        files.put("/data/file".into(), b"x".to_vec(), now);
        files.make_symlink("/up".into(), "../../../data".into(), now);
        files.make_symlink("/round".into(), "/round".into(), now);
        assert_eq!(files.read(&path("/up/file"), 9).unwrap(), b"x");
        assert_eq!(files.read(&path("/up/../data/./file"), 9).unwrap(), b"x");
        assert_eq!(files.read(&path("/round"), 9).unwrap_err().0, ErrorKind::NoSuchPath);
        assert_eq!(files.stat(&path("/up")).unwrap().unwrap().kind, FileKind::Symlink);
        assert_eq!(files.stat(&path("/up/")).unwrap().unwrap().kind, FileKind::Directory);
        assert_eq!(files.read(&path("/data/file/x"), 9).unwrap_err().0, ErrorKind::NotADirectory);
    }

    #[test]
    fn a_directory_goes_with_all_that_is_in_it_and_nothing_else() {
        let (mut files, now) = (FileSystem::default(), SystemTime::UNIX_EPOCH);
        for name in ["/a/b/c", "/a/d", "/ab"] {
            files.put(name.into(), Vec::new(), now);
        }
        files.remove(&path("/a/"), WriteRules(None)).unwrap();
        let names: Vec<_> = files.list(&path("/")).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["ab"]);
        for root in ["/", "/.", "//", "/a/.."] {
            let refused = files.remove(&path(root), WriteRules(None)).unwrap_err();
            assert_eq!(refused.0, ErrorKind::InvalidRequest, "{root}");
        }
    }
}
