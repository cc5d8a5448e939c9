//! Files: full and read-only file systems, and containers that do not run.

use rt_protocol::{Capability, ContainerPath, ErrorKind, FileOptions, Tmpfs};

use super::files::{ALL, names, path, read, write};
use crate::ensure::{ensure_refused, same_bytes};
use crate::timeout::timeout;
use crate::{Case, Group, Need, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Files, run)
        .can(ALL)
        .can(&[Capability::Create, Capability::Start, Capability::LaunchTmpfs])
        .needs(&[Need::LaunchSettings])
}

pub(super) const CASES: &[Case] = &[
    fact("files: a full file system is told", full),
    fact("files: an atomic write leaves nothing on a full file system", full_atomic)
        .can(&[Capability::AtomicWrite]),
    fact("files: a read-only root is told, and a tmpfs in it written", read_only)
        .can(&[Capability::LaunchReadOnlyRoot]),
];

/// The size of the file system, in bytes.
const SIZE: u64 = 1 << 20;

fn full(context: &TestContext<'_>) -> Verdict {
    let small = ContainerPath::new("/mnt/small")?;
    let tmpfs = Tmpfs::new(small.as_path())?.with_size(SIZE);
    let container = context.started_with(|spec| spec.tmpfs(tmpfs))?;
    let file = path(&small, "file")?;
    write(container.as_ref(), &file, b"fits")?;
    let much = vec![7; 2 << 20];
    let kind = ErrorKind::StorageFull;
    ensure_refused(container.write_file(&file, &much, &FileOptions::new(), &timeout()), kind)?;
    container.remove_path(&file, &timeout())?;
    write(container.as_ref(), &file, b"fits")?;
    same_bytes("the file", &read(container.as_ref(), &file)?, b"fits")
}

fn full_atomic(context: &TestContext<'_>) -> Verdict {
    let small = ContainerPath::new("/mnt/small")?;
    let tmpfs = Tmpfs::new(small.as_path())?.with_size(SIZE);
    let container = context.started_with(|spec| spec.tmpfs(tmpfs))?;
    let file = path(&small, "file")?;
    write(container.as_ref(), &file, b"before")?;
    let (much, options) = (vec![7; 2 << 20], FileOptions::new().atomic());
    ensure_refused(container.write_file(&file, &much, &options, &timeout()), ErrorKind::StorageFull)?;
    ensure_eq!(names(container.as_ref(), &small)?, ["file"], "the names")?;
    same_bytes("the file", &read(container.as_ref(), &file)?, b"before")
}

fn read_only(context: &TestContext<'_>) -> Verdict {
    let tmpfs = Tmpfs::new("/mnt/small")?;
    let container = context.started_with(|spec| spec.read_only_root(true).tmpfs(tmpfs))?;
    let kind = ErrorKind::ReadOnlyFilesystem;
    let file = ContainerPath::new("/given")?;
    ensure_refused(container.write_file(&file, b"x", &FileOptions::new(), &timeout()), kind)?;
    let far = ContainerPath::new("/not/there/given")?;
    ensure_refused(container.write_file(&far, b"x", &FileOptions::new().parents(), &timeout()), kind)?;
    ensure_eq!(container.stat(&file, &timeout())?, None, "what is there")?;
    let file = ContainerPath::new("/mnt/small/given")?;
    write(container.as_ref(), &file, b"x")?;
    same_bytes("the file in the tmpfs", &read(container.as_ref(), &file)?, b"x")
}
