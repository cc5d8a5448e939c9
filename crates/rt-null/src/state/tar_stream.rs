//! Tar streams into and out of the files of a container in memory.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rt_protocol::{ContainerPath, ErrorKind, FileInfo, FileMode, FileOwner, UntilError};
use tar::{Archive, Builder, EntryType, Header};

use super::file_system::{Content, FileSystem, Node};
use crate::streams::waiter::Waiter;

/// Why a stream was not packed or unpacked.
#[derive(Debug)]
pub(crate) enum TarError {
    Stopped(UntilError),
    Failed(ErrorKind, String),
    /// The caller's stream has failed.
    Stream(io::Error),
}

/// What an archive puts at a path.
#[derive(Debug)]
enum Item {
    Node(Node),
    /// A hard link to what the archive or the container has at this path.
    Copy(PathBuf),
}

/// The items of an archive, by their paths below its destination.
#[derive(Debug)]
pub(crate) struct Unpacked(Vec<(PathBuf, Item)>);

/// Reads a whole archive. Files, directories, symbolic and hard links are taken, and nothing else.
pub(crate) fn read(tar: &mut (dyn Read + Send), waiter: &Waiter) -> Result<Unpacked, TarError> {
    let mut stream = Watched::new(tar, waiter);
    let items = items(&mut stream);
    stream.failed_or(items).map(Unpacked)
}

fn items(stream: &mut impl Read) -> io::Result<Vec<(PathBuf, Item)>> {
    let mut items = Vec::new();
    for entry in Archive::new(stream).entries()? {
        let mut entry = entry?;
        let place = below(&entry.path()?)?;
        let header = entry.header();
        let (mode, uid, gid) = (header.mode()?, header.uid()?, header.gid()?);
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(header.mtime()?);
        let kind = header.entry_type();
        let target = |entry: &tar::Entry<'_, _>| {
            entry.link_name()?.map(Cow::into_owned).ok_or_else(|| invalid("a link leads nowhere"))
        };
        let content = match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                Content::File(bytes)
            }
            EntryType::Directory => Content::Directory,
            EntryType::Symlink => Content::Symlink(target(&entry)?),
            EntryType::Link => {
                items.push((place, Item::Copy(below(&target(&entry)?)?)));
                continue;
            }
            _ => continue,
        };
        let number = |id: u64| u32::try_from(id).map_err(|_| invalid("an owner is too large"));
        let owner = FileOwner::new(number(uid)?, number(gid)?).map_err(io::Error::other)?;
        items.push((place, Item::Node(Node { content, mode: FileMode::of_stat(mode), owner, modified })));
    }
    Ok(items)
}

/// Returns the path below the destination.
fn below(path: &Path) -> io::Result<PathBuf> {
    let mut place = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => place.push(name),
            Component::ParentDir => return Err(invalid("a name leads out of the destination")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(place)
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl Unpacked {
    /// Puts the items below a directory. Directories that are there stay.
    pub(crate) fn put(self, files: &mut FileSystem, dest: &ContainerPath) -> Result<(), TarError> {
        let dest = directory(files, dest)?;
        for (below, item) in self.0 {
            let place = dest.join(below);
            let node = match item {
                Item::Node(node) => node,
                Item::Copy(of) => {
                    let found = files.node(&dest.join(&of)).cloned();
                    found.ok_or_else(|| {
                        TarError::Failed(ErrorKind::BackendFailed, format!("`{}` is not there", of.display()))
                    })?
                }
            };
            // The destination itself is there.
            if place != dest {
                files.put_node(place, node);
            }
        }
        Ok(())
    }
}

/// Returns where a directory is.
fn directory(files: &FileSystem, path: &ContainerPath) -> Result<PathBuf, TarError> {
    let place = files.resolve(path.as_path(), true).map_err(|(kind, text)| TarError::Failed(kind, text))?;
    if files.is_directory(&place) { Ok(place) } else { Err(no_such_path(path)) }
}

fn no_such_path(path: &ContainerPath) -> TarError {
    TarError::Failed(ErrorKind::NoSuchPath, format!("`{}`", path.as_path().display()))
}

/// Writes what is at a path: a file under its own name, or the contents of a directory.
pub(crate) fn write(
    files: &FileSystem,
    src: &ContainerPath,
    tar: &mut (dyn Write + Send),
    waiter: &Waiter,
) -> Result<(), TarError> {
    let place = files.resolve(src.as_path(), true).map_err(|(kind, text)| TarError::Failed(kind, text))?;
    let base = if files.is_directory(&place) {
        place.as_path()
    } else if files.node(&place).is_some() {
        place.parent().unwrap_or(&place)
    } else {
        return Err(no_such_path(src));
    };
    let mut stream = Watched::new(tar, waiter);
    let mut pack = || {
        let mut archive = Builder::new(&mut stream);
        for (path, node) in files.nodes_below(&place).filter(|(path, _)| *path != base) {
            append(&mut archive, path.strip_prefix(base).map_err(io::Error::other)?, node)?;
        }
        archive.finish()
    };
    let packed = pack();
    stream.failed_or(packed)
}

fn append(archive: &mut Builder<impl Write>, name: &Path, node: &Node) -> io::Result<()> {
    let FileInfo { size, .. } = node.info();
    let mut header = Header::new_gnu();
    header.set_mode(node.mode.bits());
    header.set_uid(node.owner.uid().into());
    header.set_gid(node.owner.gid().into());
    let since = node.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    header.set_mtime(since.as_secs());
    match &node.content {
        Content::File(bytes) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            archive.append_data(&mut header, name, bytes.as_slice())
        }
        Content::Directory => {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            archive.append_data(&mut header, name, io::empty())
        }
        Content::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            archive.append_link(&mut header, name, target)
        }
    }
}

/// A caller's stream that is not used beyond the limit of its call, and whose own failures are
/// known.
struct Watched<'a, S: ?Sized> {
    stream: &'a mut S,
    waiter: &'a Waiter,
    failure: Option<TarError>,
}

impl<'a, S: ?Sized> Watched<'a, S> {
    fn new(stream: &'a mut S, waiter: &'a Waiter) -> Self {
        Self { stream, waiter, failure: None }
    }

    /// Does one step with the stream.
    fn step<T>(&mut self, step: impl FnOnce(&mut S) -> io::Result<T>) -> io::Result<T> {
        let failed = |failure: &mut Option<TarError>, error| {
            *failure = Some(error);
            Err(io::ErrorKind::Other.into())
        };
        if let Err(stop) = self.waiter.check() {
            return failed(&mut self.failure, TarError::Stopped(stop));
        }
        match step(self.stream) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                failed(&mut self.failure, TarError::Stream(error))
            }
            done => done,
        }
    }

    /// Returns the result, or why the stream failed. Another error is one of the archive.
    fn failed_or<T>(self, result: io::Result<T>) -> Result<T, TarError> {
        match (self.failure, result) {
            (Some(failure), _) => Err(failure),
            (None, Ok(done)) => Ok(done),
            (None, Err(error)) => {
                Err(TarError::Failed(ErrorKind::BackendFailed, format!("the archive is broken: {error}")))
            }
        }
    }
}

impl<S: Read + ?Sized> Read for Watched<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.step(|stream| stream.read(buffer))
    }
}

impl<S: Write + ?Sized> Write for Watched<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.step(|stream| match stream.write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            written => written,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.step(Write::flush)
    }
}
