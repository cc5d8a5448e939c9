//! Files: written from memory, read, looked up, listed and removed. What links and special files do
//! is in `file_links`, what a full or read-only file system does in `file_systems`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rt_protocol::{
    CancelToken, Capability, Container, ContainerPath, DirEntry, ErrorKind, FileKind, FileMode, FileOptions,
    FileOwner, Until,
};

use crate::context::inside;
use crate::ensure::{ensure_refused, same_bytes};
use crate::script::{many_names, pattern};
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Files, run).can(ALL).needs(&[Need::Shell, Need::Files]).core()
}

pub(super) const ALL: &[Capability] = &[
    Capability::WriteFile,
    Capability::ReadFile,
    Capability::StatFile,
    Capability::ListDir,
    Capability::RemovePath,
];
const ROOT: &[Need] = &[Need::Shell, Need::Files, Need::Root];
const ATOMIC: &[Capability] = &[Capability::AtomicWrite];

pub(super) const CASES: &[Case] = &[
    fact("files: what is written is what is read", written_and_read),
    fact("files: an empty file is there and empty", empty),
    fact("files: four MiB are written and read whole", big),
    fact("files: a command reads what was written", read_by_command),
    fact("files: what a command wrote is read", written_by_command),
    fact("files: a file that is there is replaced whole", replaced),
    fact("files: mode and owner are those that were asked for", mode_and_owner).needs(ROOT),
    fact("files: a new file is of root and readable", defaults).needs(ROOT),
    fact("files: a file that is there keeps its mode and owner", kept).needs(ROOT),
    fact("files: a missing parent is an error", missing_parent).needs(&[
        Need::Shell,
        Need::Files,
        Need::Directories,
    ]),
    fact("files: parents are made when the options ask", parents_made).needs(ROOT),
    fact("files: a parent that is a file is an error", file_as_parent),
    fact("files: a directory is not written or read", directory_as_file),
    fact("files: a file larger than the limit is refused", too_large),
    fact("files: what is missing is told apart from failures", missing),
    fact("files: names are taken as they are", odd_names),
    fact("files: names that are not text are served or refused", byte_names),
    fact("files: a path that is too long is refused", too_long),
    fact("files: an atomic write replaces the file and leaves nothing else", atomic).can(ATOMIC),
    fact("files: an atomic write keeps or sets mode and owner", atomic_mode).can(ATOMIC).needs(ROOT),
    fact("files: an atomic write that fails leaves the directory as it was", atomic_failure).can(ATOMIC),
    fact("files: a listing has each entry once, with its kind", listing),
    fact("files: a directory of a thousand entries is listed whole", long_listing),
    fact("files: a directory is removed with all that is in it", removed),
    fact("files: a deep directory is removed", deep_removed),
    fact("files: the root is not removed", root_stays),
    fact("files: the absent have no files, and say so", absent),
    fact("files: a call that may not begin does nothing", not_started),
];

pub(super) fn path(directory: &ContainerPath, name: impl AsRef<OsStr>) -> Result<ContainerPath, Failure> {
    Ok(ContainerPath::new(directory.as_path().join(name.as_ref()))?)
}

/// Writes with the default options.
pub(super) fn write(container: &dyn Container, path: &ContainerPath, bytes: &[u8]) -> Verdict {
    Ok(container.write_file(path, bytes, &FileOptions::new(), &timeout())?)
}

/// Reads up to 16 MiB.
pub(super) fn read(container: &dyn Container, path: &ContainerPath) -> Result<Vec<u8>, Failure> {
    Ok(container.read_file(path, 16 << 20, &timeout())?)
}

pub(super) fn names(container: &dyn Container, path: &ContainerPath) -> Result<Vec<OsString>, Failure> {
    Ok(container.list_dir(path, &timeout())?.into_iter().map(|entry| entry.name).collect())
}

fn through(context: &TestContext<'_>, bytes: &[u8]) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "given")?;
    write(standing.as_ref(), &file, bytes)?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, bytes)?;
    let info = standing.stat(&file, &timeout())?;
    ensure_eq!(
        info.map(|info| (info.kind, info.size)),
        Some((FileKind::File, bytes.len() as u64)),
        "what is there"
    )
}

fn written_and_read(context: &TestContext<'_>) -> Verdict {
    through(context, &(0..=255).collect::<Vec<u8>>())
}

fn empty(context: &TestContext<'_>) -> Verdict {
    through(context, b"")
}

fn big(context: &TestContext<'_>) -> Verdict {
    through(context, &pattern(4 << 20))
}

fn read_by_command(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "given")?;
    write(standing.as_ref(), &file, b"a\0b\n")?;
    let result = TestContext::run_in(standing.as_ref(), &Script::ReadFile(file.as_os_str().to_owned()))?;
    same_bytes("the file in the guest", &result.stdout.into_bytes(), b"a\0b\n")
}

fn written_by_command(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    TestContext::write_file(standing.as_ref(), inside(&directory, "made"), b"by a command")?;
    same_bytes("the file", &read(standing.as_ref(), &path(&directory, "made")?)?, b"by a command")
}

fn replaced(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "given")?;
    for bytes in [&b"the longer first one"[..], b"second"] {
        write(standing.as_ref(), &file, bytes)?;
        same_bytes("the file", &read(standing.as_ref(), &file)?, bytes)?;
    }
    Ok(())
}

fn ensure_owned(
    container: &dyn Container,
    file: &ContainerPath,
    mode: FileMode,
    owner: FileOwner,
) -> Verdict {
    let info = container.stat(file, &timeout())?;
    ensure_eq!(info.map(|info| (info.mode, info.owner)), Some((mode, Some(owner))), "mode and owner")
}

fn mode_and_owner(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    for (name, bits) in [("a", 0o600), ("b", 0o777), ("c", 0o4750), ("d", 0)] {
        let (file, mode, owner) = (path(&directory, name)?, FileMode::new(bits)?, FileOwner::new(12, 345)?);
        let options = FileOptions::new().mode(mode).owner(owner);
        standing.write_file(&file, b"x", &options, &timeout())?;
        ensure_owned(standing.as_ref(), &file, mode, owner)?;
    }
    Ok(())
}

fn defaults(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "given")?;
    write(standing.as_ref(), &file, b"x")?;
    ensure_owned(standing.as_ref(), &file, FileMode::DEFAULT, FileOwner::ROOT)
}

fn kept(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "given")?;
    let (mode, owner) = (FileMode::new(0o751)?, FileOwner::new(7, 8)?);
    standing.write_file(&file, b"x", &FileOptions::new().mode(mode).owner(owner), &timeout())?;
    write(standing.as_ref(), &file, b"another")?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, b"another")?;
    ensure_owned(standing.as_ref(), &file, mode, owner)
}

fn missing_parent(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "not/there/given")?;
    ensure_refused(standing.write_file(&file, b"x", &FileOptions::new(), &timeout()), ErrorKind::NoSuchPath)?;
    ensure_eq!(standing.stat(&file, &timeout())?, None, "what is there")
}

fn parents_made(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let file = path(&directory, "not/there/given")?;
    for bytes in [b"first", b"other"] {
        standing.write_file(&file, bytes, &FileOptions::new().parents(), &timeout())?;
        same_bytes("the file", &read(standing.as_ref(), &file)?, bytes)?;
    }
    let parent = path(&directory, "not/there")?;
    let info = standing.stat(&parent, &timeout())?;
    let seen = info.map(|info| (info.kind, info.mode.bits(), info.owner));
    ensure_eq!(seen, Some((FileKind::Directory, 0o755, Some(FileOwner::ROOT))), "the parent")
}

fn file_as_parent(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "file")?;
    write(standing.as_ref(), &file, b"x")?;
    let below = path(&file, "below")?;
    let kind = ErrorKind::NotADirectory;
    for options in [FileOptions::new(), FileOptions::new().parents()] {
        ensure_refused(standing.write_file(&below, b"y", &options, &timeout()), kind)?;
    }
    ensure_refused(standing.read_file(&below, 9, &timeout()), kind)?;
    ensure_refused(standing.stat(&below, &timeout()), kind)?;
    ensure_refused(standing.list_dir(&below, &timeout()), kind)?;
    ensure_refused(standing.list_dir(&file, &timeout()), kind)?;
    ensure_refused(standing.remove_path(&below, &timeout()), kind)?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, b"x")
}

fn directory_as_file(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    for at in [directory.clone(), path(&directory, "new/")?, path(&directory, ".")?] {
        let options = FileOptions::new();
        ensure_refused(standing.write_file(&at, b"x", &options, &timeout()), ErrorKind::IsADirectory)?;
    }
    ensure_refused(standing.read_file(&directory, 9, &timeout()), ErrorKind::IsADirectory)?;
    ensure!(names(standing.as_ref(), &directory)?.is_empty(), "something was written")
}

fn too_large(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "given")?;
    write(standing.as_ref(), &file, b"ten bytes.")?;
    same_bytes("the file", &standing.read_file(&file, 10, &timeout())?, b"ten bytes.")?;
    for limit in [9, 1, 0] {
        ensure_refused(standing.read_file(&file, limit, &timeout()), ErrorKind::FileTooLarge)?;
    }
    write(standing.as_ref(), &file, b"")?;
    same_bytes("the empty file", &standing.read_file(&file, 0, &timeout())?, b"")
}

fn missing(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let nothing = path(&context.guest_dir(standing.as_ref())?, "nothing")?;
    ensure_refused(standing.read_file(&nothing, 9, &timeout()), ErrorKind::NoSuchPath)?;
    ensure_refused(standing.list_dir(&nothing, &timeout()), ErrorKind::NoSuchPath)?;
    ensure_eq!(standing.stat(&nothing, &timeout())?, None, "what is there")?;
    ensure_eq!(standing.stat(&path(&nothing, "at all")?, &timeout())?, None, "what is below it")?;
    standing.remove_path(&nothing, &timeout())?;
    Ok(standing.remove_path(&path(&nothing, "at all")?, &timeout())?)
}

fn ensure_named(context: &TestContext<'_>, name: OsString) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let file = path(&directory, &name)?;
    write(standing.as_ref(), &file, b"odd")?;
    ensure_eq!(names(standing.as_ref(), &directory)?, std::slice::from_ref(&name), "the names")?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, b"odd")?;
    let info = standing.stat(&file, &timeout())?;
    ensure_eq!(info.map(|info| info.kind), Some(FileKind::File), "what is there")?;
    standing.remove_path(&file, &timeout())?;
    ensure!(names(standing.as_ref(), &directory)?.is_empty(), "{name:?} is still there")
}

fn odd_names(context: &TestContext<'_>) -> Verdict {
    let long = "n".repeat(255);
    for name in
        ["-", "-rf", "a\nb", "\n", " a b ", "*", "[x]", "a:b", "$HOME", "'\"\\", ".h", "...", "\u{e4}", &long]
    {
        ensure_named(context, name.into())?;
    }
    Ok(())
}

fn byte_names(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let name = OsString::from_vec(b"\xff\xfe".to_vec());
    match standing.write_file(&path(&directory, &name)?, b"x", &FileOptions::new(), &timeout()) {
        Ok(()) => ensure_named(context, name),
        refused => {
            ensure_refused(refused, ErrorKind::InvalidRequest)?;
            ensure!(names(standing.as_ref(), &directory)?.is_empty(), "something was written")
        }
    }
}

fn too_long(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "n".repeat(256))?;
    let kind = ErrorKind::InvalidRequest;
    ensure_refused(standing.write_file(&file, b"x", &FileOptions::new(), &timeout()), kind)?;
    ensure_refused(standing.read_file(&file, 9, &timeout()), kind)
}

fn atomic(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let file = path(&directory, "given")?;
    for bytes in [&b"the first one"[..], b"", b"third"] {
        standing.write_file(&file, bytes, &FileOptions::new().atomic(), &timeout())?;
        same_bytes("the file", &read(standing.as_ref(), &file)?, bytes)?;
        ensure_eq!(names(standing.as_ref(), &directory)?, ["given"], "the names")?;
    }
    let far = path(&directory, "far/away")?;
    standing.write_file(&far, b"x", &FileOptions::new().atomic().parents(), &timeout())?;
    same_bytes("the far file", &read(standing.as_ref(), &far)?, b"x")
}

fn atomic_mode(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let file = path(&context.guest_dir(standing.as_ref())?, "given")?;
    let options = FileOptions::new().atomic();
    standing.write_file(&file, b"x", &options, &timeout())?;
    ensure_owned(standing.as_ref(), &file, FileMode::DEFAULT, FileOwner::ROOT)?;
    let (mode, owner) = (FileMode::new(0o4711)?, FileOwner::new(7, 8)?);
    standing.write_file(&file, b"x", &options.mode(mode).owner(owner), &timeout())?;
    ensure_owned(standing.as_ref(), &file, mode, owner)?;
    standing.write_file(&file, b"y", &options, &timeout())?;
    ensure_owned(standing.as_ref(), &file, mode, owner)
}

fn atomic_failure(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    write(standing.as_ref(), &path(&directory, "there")?, b"x")?;
    let before = standing.list_dir(&directory, &timeout())?;
    let options = FileOptions::new().atomic();
    ensure_refused(standing.write_file(&directory, b"x", &options, &timeout()), ErrorKind::IsADirectory)?;
    let below = path(&directory, "there/below")?;
    ensure_refused(standing.write_file(&below, b"x", &options, &timeout()), ErrorKind::NotADirectory)?;
    ensure_eq!(standing.list_dir(&directory, &timeout())?, before, "the entries")
}

fn listing(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    ensure_eq!(standing.list_dir(&directory, &timeout())?, [], "the entries of an empty directory")?;
    for name in ["b", ".hidden", "..two", "a/inside"] {
        let options = FileOptions::new().parents();
        standing.write_file(&path(&directory, name)?, b"x", &options, &timeout())?;
    }
    let expected = [
        DirEntry::new("..two", FileKind::File),
        DirEntry::new(".hidden", FileKind::File),
        DirEntry::new("a", FileKind::Directory),
        DirEntry::new("b", FileKind::File),
    ];
    ensure_eq!(standing.list_dir(&directory, &timeout())?, expected, "the entries")?;
    ensure_eq!(standing.list_dir(&path(&directory, "")?, &timeout())?, expected, "with a slash at the end")
}

fn long_listing(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let script = Script::MakeMany { directory: directory.as_os_str().to_owned(), count: 1000 };
    let made = TestContext::run_in(standing.as_ref(), &script)?;
    ensure!(made.success(), "the entries cannot be made: {}", made.stderr)?;
    let expected: Vec<OsString> = many_names(1000).collect();
    ensure_eq!(names(standing.as_ref(), &directory)?, expected, "the names")
}

fn removed(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    for name in ["gone/a", "gone/b/c", "gone/b/d", "gone/.e/f/g", "gone-not"] {
        let options = FileOptions::new().parents();
        standing.write_file(&path(&directory, name)?, b"x", &options, &timeout())?;
    }
    standing.remove_path(&path(&directory, "gone/a")?, &timeout())?;
    ensure_eq!(names(standing.as_ref(), &path(&directory, "gone")?)?, [".e", "b"], "the names")?;
    standing.remove_path(&path(&directory, "gone")?, &timeout())?;
    ensure_eq!(names(standing.as_ref(), &directory)?, ["gone-not"], "the names")
}

fn deep_removed(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let deep = path(&directory, "d/".repeat(150) + "file")?;
    standing.write_file(&deep, b"x", &FileOptions::new().parents(), &timeout())?;
    same_bytes("the deep file", &read(standing.as_ref(), &deep)?, b"x")?;
    standing.remove_path(&path(&directory, "d")?, &timeout())?;
    ensure!(names(standing.as_ref(), &directory)?.is_empty(), "something is left")
}

fn root_stays(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    for at in [ContainerPath::new("/")?, ContainerPath::new("//.")?, path(&directory, "..")?] {
        ensure_refused(standing.remove_path(&at, &timeout()), ErrorKind::InvalidRequest)?;
    }
    ensure!(standing.stat(&directory, &timeout())?.is_some(), "the directory is gone")
}

fn absent(context: &TestContext<'_>) -> Verdict {
    let (nobody, at) = (context.missing_container()?, ContainerPath::new("/x")?);
    let kind = ErrorKind::NoSuchContainer;
    ensure_refused(nobody.write_file(&at, b"x", &FileOptions::new(), &timeout()), kind)?;
    ensure_refused(nobody.read_file(&at, 9, &timeout()), kind)?;
    ensure_refused(nobody.stat(&at, &timeout()), kind)?;
    ensure_refused(nobody.list_dir(&at, &timeout()), kind)?;
    ensure_refused(nobody.remove_path(&at, &timeout()), kind)
}

fn not_started(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let file = path(&directory, "file")?;
    let token = CancelToken::new();
    token.cancel();
    let options = FileOptions::new();
    for (until, kind) in [
        (timeout().or_cancelled(&token), ErrorKind::Cancelled),
        (Until::after(Duration::ZERO), ErrorKind::TimedOut),
    ] {
        ensure_refused(standing.write_file(&file, b"x", &options, &until), kind)?;
        ensure_refused(standing.read_file(&file, 9, &until), kind)?;
        ensure_refused(standing.stat(&file, &until), kind)?;
        ensure_refused(standing.list_dir(&directory, &until), kind)?;
        ensure_refused(standing.remove_path(&directory, &until), kind)?;
    }
    ensure!(names(standing.as_ref(), &directory)?.is_empty(), "the file was written")
}
