//! Files: symbolic links and special files.

use rt_protocol::{Capability, ContainerPath, ErrorKind, FileKind, FileOptions};

use super::files::{ALL, names, path, read, write};
use crate::ensure::{ensure_refused, same_bytes};
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Files, run).can(ALL).needs(&[Need::Shell, Need::Files]).core()
}

pub(super) const CASES: &[Case] = &[
    fact("files: a link is looked up as itself, with its text", link_itself),
    fact("files: a link is followed by reads and plain writes", link_followed),
    fact("files: an atomic write takes the place of a link", link_replaced).can(&[Capability::AtomicWrite]),
    fact("files: a link is removed, and not what it leads to", link_removed),
    fact("files: links in a directory are removed with it, alone", links_removed),
    fact("files: a link to a directory is listed as that directory", link_listed),
    fact("files: a link that leads nowhere is missing to a read", dangling),
    fact("files: links that go round are an error", round),
    fact("files: a path through links stays inside the root", inside_root),
    fact("files: a special file is neither read nor written", special).needs(&[
        Need::Shell,
        Need::Files,
        Need::System,
    ]),
];

/// Makes a symbolic link.
fn link(context: &TestContext<'_>, at: &ContainerPath, target: &str) -> Verdict {
    let script = Script::Link { target: target.into(), path: at.as_os_str().to_owned() };
    let made = context.run(&script)?;
    ensure!(made.success(), "{at} cannot be made in the guest: {}", made.stderr)
}

/// Returns a new directory of the guest with a `file`, and a `link` to it.
fn linked(context: &TestContext<'_>) -> Result<[ContainerPath; 3], Failure> {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let (file, at) = (path(&directory, "file")?, path(&directory, "link")?);
    write(standing.as_ref(), &file, b"linked")?;
    link(context, &at, "file")?;
    Ok([directory, file, at])
}

fn link_itself(context: &TestContext<'_>) -> Verdict {
    let [directory, _, at] = linked(context)?;
    let standing = context.standing()?;
    let info = standing.stat(&at, &timeout())?;
    let seen = info.map(|info| (info.kind, info.link_target));
    ensure_eq!(seen, Some((FileKind::Symlink, Some("file".into()))), "the link")?;
    let kinds: Vec<_> =
        standing.list_dir(&directory, &timeout())?.into_iter().map(|entry| entry.kind).collect();
    ensure_eq!(kinds, [FileKind::File, FileKind::Symlink], "the kinds in the listing")
}

fn link_followed(context: &TestContext<'_>) -> Verdict {
    let [_, file, at] = linked(context)?;
    let standing = context.standing()?;
    same_bytes("the file by its link", &read(standing.as_ref(), &at)?, b"linked")?;
    write(standing.as_ref(), &at, b"written")?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, b"written")?;
    let kind = standing.stat(&at, &timeout())?.map(|info| info.kind);
    ensure_eq!(kind, Some(FileKind::Symlink), "what is at the link's path")
}

fn link_replaced(context: &TestContext<'_>) -> Verdict {
    let [_, file, at] = linked(context)?;
    let standing = context.standing()?;
    standing.write_file(&at, b"written", &FileOptions::new().atomic(), &timeout())?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, b"linked")?;
    let kind = standing.stat(&at, &timeout())?.map(|info| info.kind);
    ensure_eq!(kind, Some(FileKind::File), "what is at the link's path")
}

fn link_removed(context: &TestContext<'_>) -> Verdict {
    let [directory, file, at] = linked(context)?;
    let standing = context.standing()?;
    let around = path(&directory, "around")?;
    link(context, &around, ".")?;
    standing.remove_path(&around, &timeout())?;
    standing.remove_path(&at, &timeout())?;
    ensure_eq!(names(standing.as_ref(), &directory)?, ["file"], "the names")?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, b"linked")
}

fn links_removed(context: &TestContext<'_>) -> Verdict {
    let [directory, file, _] = linked(context)?;
    let standing = context.standing()?;
    let gone = path(&directory, "gone")?;
    let options = FileOptions::new().parents();
    standing.write_file(&path(&gone, "deep/x")?, b"x", &options, &timeout())?;
    link(context, &path(&gone, "up")?, "..")?;
    link(context, &path(&gone, "deep/file")?, "../../file")?;
    standing.remove_path(&gone, &timeout())?;
    ensure_eq!(names(standing.as_ref(), &directory)?, ["file", "link"], "the names")?;
    same_bytes("the file", &read(standing.as_ref(), &file)?, b"linked")
}

fn link_listed(context: &TestContext<'_>) -> Verdict {
    let [directory, ..] = linked(context)?;
    let standing = context.standing()?;
    let around = path(&directory, "around")?;
    link(context, &around, ".")?;
    ensure_eq!(names(standing.as_ref(), &around)?, ["around", "file", "link"], "the names")
}

fn dangling(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let at = path(&context.guest_dir(standing.as_ref())?, "link")?;
    link(context, &at, "nothing/there")?;
    ensure_refused(standing.read_file(&at, 9, &timeout()), ErrorKind::NoSuchPath)?;
    ensure_refused(standing.list_dir(&at, &timeout()), ErrorKind::NoSuchPath)?;
    let kind = standing.stat(&at, &timeout())?.map(|info| info.kind);
    ensure_eq!(kind, Some(FileKind::Symlink), "what is there")
}

fn round(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let at = path(&context.guest_dir(standing.as_ref())?, "link")?;
    link(context, &at, "link")?;
    ensure_refused(standing.read_file(&at, 9, &timeout()), ErrorKind::NoSuchPath)?;
    let options = FileOptions::new();
    ensure_refused(standing.write_file(&at, b"x", &options, &timeout()), ErrorKind::NoSuchPath)
}

/// The host has no directory of this name, so whoever leaves the root finds nothing.
fn inside_root(context: &TestContext<'_>) -> Verdict {
    let [directory, file, _] = linked(context)?;
    let standing = context.standing()?;
    let up = "../".repeat(40);
    for (name, target) in [
        ("absolute", file.to_string()),
        ("upwards", format!("{up}{}", file.to_string().trim_start_matches('/'))),
    ] {
        let at = path(&directory, name)?;
        link(context, &at, &target)?;
        same_bytes("the file by its link", &read(standing.as_ref(), &at)?, b"linked")?;
        write(standing.as_ref(), &at, b"written")?;
        same_bytes("the file", &read(standing.as_ref(), &file)?, b"written")?;
        write(standing.as_ref(), &file, b"linked")?;
    }
    let root = path(&directory, "root")?;
    link(context, &root, &up)?;
    let through = ContainerPath::new(format!("{root}{file}"))?;
    same_bytes("the file through the root", &read(standing.as_ref(), &through)?, b"linked")
}

fn special(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    let fifo = path(&directory, "fifo")?;
    let made = context.run(&Script::Fifo(fifo.as_os_str().to_owned()))?;
    ensure!(made.success(), "{fifo} cannot be made in the guest: {}", made.stderr)?;
    ensure_refused(standing.read_file(&fifo, 9, &timeout()), ErrorKind::InvalidRequest)?;
    let options = FileOptions::new();
    ensure_refused(standing.write_file(&fifo, b"x", &options, &timeout()), ErrorKind::InvalidRequest)?;
    let info = standing.stat(&fifo, &timeout())?;
    ensure_eq!(info.map(|info| info.kind), Some(FileKind::Fifo), "what is there")?;
    standing.remove_path(&fifo, &timeout())?;
    ensure!(names(standing.as_ref(), &directory)?.is_empty(), "it is still there")
}
