//! A tiny image from this host's static BusyBox: the archive of a root file system,
//! created in memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

/// The commands that the archive has as links to BusyBox; enough for a shell script.
const APPLETS: &[&str] = &[
    "[",
    "awk",
    "base64",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "dd",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "head",
    "hostname",
    "id",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nc",
    "nohup",
    "od",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "tty",
    "uname",
    "uniq",
    "wc",
    "which",
    "xargs",
    "yes",
];

/// The paths of BusyBox on Debian, Alpine and others. It must be static.
const PLACES: &[&str] = &[
    "/bin/busybox",
    "/usr/bin/busybox",
    "/bin/busybox.static",
    "/usr/bin/busybox.static",
];

/// Returns the host's BusyBox if it is static: a dynamic one would not run without its
/// libraries.
pub(crate) fn find_static_busybox() -> Option<PathBuf> {
    PLACES
        .iter()
        .map(PathBuf::from)
        .find(|path| fs::read(path).is_ok_and(|program| is_static(&program)))
}

/// Returns whether an ELF program needs no loader: none of its program headers is
/// `PT_INTERP` (ELF-64 Object File Format).
fn is_static(program: &[u8]) -> bool {
    let half = |at: usize| {
        program
            .get(at..at + 2)
            .map(|bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    let (Some(size), Some(count)) = (half(54), half(56)) else {
        return false;
    };
    let Some(start) = program
        .get(32..40)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_le_bytes)
    else {
        return false;
    };
    program.starts_with(b"\x7fELF\x02\x01")
        && (0..count).all(|index| {
            usize::try_from(start)
                .ok()
                .and_then(|start| start.checked_add(index * size))
                .and_then(|at| program.get(at..at + 4))
                .is_some_and(|kind| kind != [3, 0, 0, 0])
        })
}

/// Returns the archive: BusyBox, its links, a user `dev`, and the directories that a
/// container needs.
pub(crate) fn archive(busybox: &Path) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for directory in
        ["bin", "dev", "etc", "proc", "root", "run", "sys", "var", "workspace"]
    {
        append(&mut archive, directory, EntryType::Directory, 0o755, &[])?;
    }
    append(&mut archive, "tmp", EntryType::Directory, 0o1777, &[])?;
    append(&mut archive, "bin/busybox", EntryType::Regular, 0o755, &fs::read(busybox)?)?;
    let users = b"root:x:0:0:root:/root:/bin/sh\ndev:x:1000:1000:dev:/tmp:/bin/sh\n";
    append(&mut archive, "etc/passwd", EntryType::Regular, 0o644, users)?;
    append(
        &mut archive,
        "etc/group",
        EntryType::Regular,
        0o644,
        b"root:x:0:\ndev:x:1000:\n",
    )?;
    for applet in APPLETS {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    archive.into_inner()
}

/// Adds one file or directory.
pub(crate) fn append(
    archive: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut header = header(kind, mode, content.len() as u64);
    archive.append_data(&mut header, path, content)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}
