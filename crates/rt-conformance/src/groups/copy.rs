//! Copy: files and directories into and out of containers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rt_protocol::{
    CancelToken, Capability, Container, ContainerExt, ContainerPath, ContainerState, CopyOptions, ErrorKind,
    FileKind, FileMode, FileOptions, Until,
};

use crate::context::inside;
use crate::ensure::{ensure_refused, same_bytes};
use crate::failing_stream::FailingStream;
use crate::required::RUN;
use crate::script::pattern;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Copy, run).can(IN).needs(&[Need::Shell, Need::Files])
}

const IN: &[Capability] = &[Capability::CopyIn];
const OUT: &[Capability] = &[Capability::CopyOut];
const TAR: &[Capability] = &[Capability::CopyTar];
const FILES: &[Capability] = &[Capability::WriteFile, Capability::StatFile];
const BARE: &[Need] = &[Need::Shell];

pub(super) const CASES: &[Case] = &[
    fact("copy: a file arrives as it is, under the name it is given", file),
    fact("copy: a file goes into a directory under its own name", into_directory),
    fact("copy: an empty file arrives empty", empty_file),
    fact("copy: a file of four MiB arrives whole", big_file),
    fact("copy: a file that is there is replaced", replaced),
    fact("copy: what may be executed still may", executable),
    fact("copy: a directory is copied by its contents", directory),
    fact("copy: what is in the directory stays and is added to", merged),
    fact("copy: names that look like options or containers are names", odd_names),
    fact("copy: a destination of odd characters is taken as it is", odd_destination),
    fact("copy: a source that is missing is an error", missing_source).needs(BARE),
    fact("copy: a parent that is missing is an error", missing_parent).needs(&[
        Need::Shell,
        Need::Files,
        Need::Directories,
    ]),
    fact("copy: parents are made when the options ask", parents_made),
    fact("copy: the absent take no files, and say so", absent).needs(&[]),
    fact("copy: a call that may not begin copies nothing", not_started),
    fact("copy: a container that is not running takes files too", not_running)
        .can(RUN)
        .can(&[Capability::CopyIn]),
    fact("copy: a file comes out as it is", file_out).can(OUT),
    fact("copy: a directory comes out by its contents", directory_out).can(OUT),
    fact("copy: what is missing does not come out", missing_out).can(OUT).needs(BARE),
    fact("copy: a tar stream goes out and in", tar_round_trip).can(TAR),
    fact("copy: a tar stream keeps modes, links and empty directories", tar_entries).can(TAR).can(FILES),
    fact("copy: what is no archive is an error, and unpacks nothing", no_archive).can(TAR).can(FILES),
    fact("copy: no tar stream goes to or comes from what is missing", missing_tar).can(TAR).needs(BARE),
    fact("copy: a failing tar source is an error", failing_tar_source).can(TAR).needs(BARE),
    fact("copy: a failing tar sink is an error", failing_tar_sink).can(TAR).needs(BARE),
];

fn options() -> CopyOptions {
    CopyOptions::new()
}

fn path(directory: &ContainerPath, name: &str) -> Result<ContainerPath, Failure> {
    Ok(ContainerPath::new(inside(directory, name))?)
}

fn contents(container: &dyn Container, path: &ContainerPath) -> Result<Vec<u8>, Failure> {
    let result = TestContext::run_in(container, &Script::ReadFile(path.as_os_str().to_owned()))?;
    ensure!(result.success(), "{path} is not in the guest")?;
    Ok(result.stdout.into_bytes())
}

fn names(container: &dyn Container, path: &ContainerPath) -> Result<Vec<String>, Failure> {
    let text = TestContext::text_in(container, &Script::List(path.as_os_str().to_owned()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Writes a file of the host with these bytes, copies it to a new directory of the guest, and reads
/// it there.
fn through(context: &TestContext<'_>, bytes: &[u8]) -> Verdict {
    let standing = context.standing()?;
    let source = context.host_dir()?.join("source");
    fs::write(&source, bytes)?;
    let dest = path(&context.guest_dir(standing.as_ref())?, "given")?;
    standing.copy_in(&source, &dest, &options(), &timeout())?;
    same_bytes("the file in the guest", &contents(standing.as_ref(), &dest)?, bytes)
}

fn file(context: &TestContext<'_>) -> Verdict {
    through(context, &(0..=255).collect::<Vec<u8>>())
}

fn empty_file(context: &TestContext<'_>) -> Verdict {
    through(context, b"")
}

fn big_file(context: &TestContext<'_>) -> Verdict {
    through(context, &pattern(4 << 20))
}

fn into_directory(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let source = context.host_dir()?.join("its own");
    fs::write(&source, "x")?;
    let dest = context.guest_dir(standing.as_ref())?;
    standing.copy_in(&source, &dest, &options(), &timeout())?;
    ensure_eq!(names(standing.as_ref(), &dest)?, ["its own"], "the names in the directory")
}

fn replaced(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let source = context.host_dir()?.join("source");
    let dest = path(&context.guest_dir(standing.as_ref())?, "given")?;
    for bytes in ["the longer first one", "second"] {
        fs::write(&source, bytes)?;
        standing.copy_in(&source, &dest, &options(), &timeout())?;
        same_bytes("the file in the guest", &contents(standing.as_ref(), &dest)?, bytes.as_bytes())?;
    }
    Ok(())
}

fn executable(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let source = context.host_dir()?;
    for (name, mode) in [("runs", 0o755), ("rests", 0o644)] {
        fs::write(source.join(name), "#!/bin/sh\n")?;
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode))?;
    }
    let dest = context.guest_dir(standing.as_ref())?;
    standing.copy_in(&source, &dest, &options(), &timeout())?;
    let may = |name| {
        Ok::<_, Failure>(
            TestContext::run_in(standing.as_ref(), &Script::IsExecutable(inside(&dest, name)))?.success(),
        )
    };
    ensure!(may("runs")?, "a file of mode 755 may not be executed")?;
    ensure!(!may("rests")?, "a file of mode 644 may be executed")
}

/// Creates a directory of the host with a file and a directory, which contains a file.
fn tree(context: &TestContext<'_>) -> Result<std::path::PathBuf, Failure> {
    let source = context.host_dir()?;
    fs::write(source.join("a"), "first")?;
    fs::create_dir(source.join("deep"))?;
    fs::write(source.join("deep").join("b"), "second")?;
    Ok(source)
}

fn directory(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let dest = path(&context.guest_dir(standing.as_ref())?, "new")?;
    standing.copy_in(&tree(context)?, &dest, &options(), &timeout())?;
    ensure_eq!(names(standing.as_ref(), &dest)?, ["a", "deep"], "the names in the new directory")?;
    same_bytes("the deep file", &contents(standing.as_ref(), &path(&dest, "deep/b")?)?, b"second")
}

fn merged(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let dest = context.guest_dir(standing.as_ref())?;
    TestContext::write_file(standing.as_ref(), inside(&dest, "stays"), b"x")?;
    for _ in 0..2 {
        standing.copy_in(&tree(context)?, &dest, &options(), &timeout())?;
    }
    ensure_eq!(names(standing.as_ref(), &dest)?, ["a", "deep", "stays"], "the names in the directory")
}

fn odd_names(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let (source, dest) = (context.host_dir()?, context.guest_dir(standing.as_ref())?);
    for name in ["-", "-x", "--help", "name:path", " a b ", "$HOME", "\u{e4}"] {
        fs::write(source.join(name), name)?;
        standing.copy_in(&source.join(name), &dest, &options(), &timeout())?;
        same_bytes("an odd file", &contents(standing.as_ref(), &path(&dest, name)?)?, name.as_bytes())?;
    }
    Ok(())
}

fn odd_destination(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let source = context.host_dir()?.join("source");
    fs::write(&source, "x")?;
    let dest = path(&context.guest_dir(standing.as_ref())?, "-a b:c $HOME")?;
    standing.copy_in(&source, &dest, &options(), &timeout())?;
    same_bytes("the file in the guest", &contents(standing.as_ref(), &dest)?, b"x")
}

fn missing_source(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?.join("nothing");
    let dest = ContainerPath::new(context.fixture().scratch())?;
    ensure_refused(context.standing()?.copy_in(&source, &dest, &options(), &timeout()), ErrorKind::NoSuchPath)
}

/// Creates a file of the host, and a path in the guest whose parents do not exist.
fn far_away(
    context: &TestContext<'_>,
    options: CopyOptions,
) -> Result<(rt_protocol::Result<()>, ContainerPath), Failure> {
    let standing = context.standing()?;
    let source = context.host_dir()?.join("source");
    fs::write(&source, "far")?;
    let dest = path(&context.guest_dir(standing.as_ref())?, "not/there/given")?;
    Ok((standing.copy_in(&source, &dest, &options, &timeout()), dest))
}

fn missing_parent(context: &TestContext<'_>) -> Verdict {
    let (answer, dest) = far_away(context, options())?;
    ensure_refused(answer, ErrorKind::NoSuchPath)?;
    let read = context.run(&Script::ReadFile(dest.as_os_str().to_owned()))?;
    ensure!(!read.success(), "the file is there after all")
}

fn parents_made(context: &TestContext<'_>) -> Verdict {
    let (answer, dest) = far_away(context, options().create_parents())?;
    answer?;
    same_bytes("the file in the guest", &contents(context.standing()?.as_ref(), &dest)?, b"far")
}

fn absent(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?.join("source");
    fs::write(&source, "x")?;
    let answer =
        context.missing_container()?.copy_in(&source, &ContainerPath::new("/x")?, &options(), &timeout());
    ensure_refused(answer, ErrorKind::NoSuchContainer)
}

fn not_started(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let source = context.host_dir()?.join("source");
    fs::write(&source, "x")?;
    let dest = context.guest_dir(standing.as_ref())?;
    let token = CancelToken::new();
    token.cancel();
    let answer = standing.copy_in(&source, &dest, &options(), &timeout().or_cancelled(&token));
    ensure_refused(answer, ErrorKind::Cancelled)?;
    let answer = standing.copy_in(&source, &dest, &options(), &Until::after(Duration::ZERO));
    ensure_refused(answer, ErrorKind::TimedOut)?;
    ensure!(names(standing.as_ref(), &dest)?.is_empty(), "the file was copied")
}

fn not_running(context: &TestContext<'_>) -> Verdict {
    let container = context.created(&Script::Stand)?;
    let source = context.host_dir()?.join("source");
    fs::write(&source, "early")?;
    let dest = context.guest_path()?;
    container.copy_in(&source, &dest, &options(), &timeout())?;
    ensure_eq!(container.state(timeout())?, Some(ContainerState::Created), "the state after the copy")?;
    context.start(container.as_ref())?;
    same_bytes("the file in the guest", &contents(container.as_ref(), &dest)?, b"early")
}

/// Creates a directory of the guest with one file in it.
fn guest_file(context: &TestContext<'_>, bytes: &[u8]) -> Result<ContainerPath, Failure> {
    let standing = context.standing()?;
    let directory = context.guest_dir(standing.as_ref())?;
    TestContext::write_file(standing.as_ref(), inside(&directory, "made"), bytes)?;
    Ok(directory)
}

fn file_out(context: &TestContext<'_>) -> Verdict {
    let bytes: Vec<u8> = (0..=255).collect();
    let source = path(&guest_file(context, &bytes)?, "made")?;
    let dest = context.host_dir()?.join("taken");
    context.standing()?.copy_out(&source, &dest, &options(), &timeout())?;
    same_bytes("the file on the host", &fs::read(&dest)?, &bytes)
}

fn directory_out(context: &TestContext<'_>) -> Verdict {
    let dest = context.host_dir()?;
    context.standing()?.copy_out(&guest_file(context, b"x")?, &dest, &options(), &timeout())?;
    same_bytes("the file on the host", &fs::read(dest.join("made"))?, b"x")
}

fn missing_out(context: &TestContext<'_>) -> Verdict {
    let dest = context.host_dir()?.join("taken");
    let answer =
        context.standing()?.copy_out(&ContainerPath::new("/rt/no/such/file")?, &dest, &options(), &timeout());
    ensure_refused(answer, ErrorKind::NoSuchPath)?;
    ensure!(!Path::exists(&dest), "something is on the host")
}

fn tar_round_trip(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let bytes = b"in a tar";
    let source = path(&guest_file(context, bytes)?, "made")?;
    let mut tar = Vec::new();
    standing.copy_out_tar(&source, &mut tar, &timeout())?;
    let dest = context.guest_dir(standing.as_ref())?;
    standing.copy_in_tar(&mut &tar[..], &dest, &timeout())?;
    same_bytes("the file in the guest", &contents(standing.as_ref(), &path(&dest, "made")?)?, bytes)
}

fn tar_entries(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let (source, dest) = (context.guest_dir(standing.as_ref())?, context.guest_dir(standing.as_ref())?);
    let options = FileOptions::new().mode(FileMode::new(0o640)?);
    standing.write_file(&path(&source, "file")?, b"bytes", &options, &timeout())?;
    let link = Script::Link { target: "file".into(), path: inside(&source, "link") };
    for script in [Script::MakeDir(inside(&source, "empty")), link] {
        TestContext::run_in(standing.as_ref(), &script)?.exit_ok()?;
    }
    let mut tar = Vec::new();
    standing.copy_out_tar(&source, &mut tar, &timeout())?;
    standing.copy_in_tar(&mut &tar[..], &dest, &timeout())?;
    let stat = |name| Ok::<_, Failure>(standing.stat(&path(&dest, name)?, &timeout())?);
    let file = stat("file")?.ok_or_else(|| Failure::new("the file is missing"))?;
    ensure_eq!((file.kind, file.size, file.mode.bits()), (FileKind::File, 5, 0o640), "the file")?;
    ensure_eq!(stat("empty")?.map(|info| info.kind), Some(FileKind::Directory), "the directory")?;
    let target = stat("link")?.and_then(|info| info.link_target);
    ensure_eq!(target.as_deref(), Some(Path::new("file")), "what the link leads to")
}

fn no_archive(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let dest = context.guest_dir(standing.as_ref())?;
    ensure_refused(
        standing.copy_in_tar(&mut &b"no archive"[..], &dest, &timeout()),
        ErrorKind::BackendFailed,
    )?;
    ensure_eq!(names(standing.as_ref(), &dest)?, Vec::<String>::new(), "the names in the directory")
}

fn missing_tar(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let missing = path(&ContainerPath::new(context.fixture().scratch())?, "no/such")?;
    let mut archive = Vec::new();
    let empty = context.guest_dir(standing.as_ref())?;
    standing.copy_out_tar(&empty, &mut archive, &timeout())?;
    ensure_refused(standing.copy_in_tar(&mut &archive[..], &missing, &timeout()), ErrorKind::NoSuchPath)?;
    ensure_refused(standing.copy_out_tar(&missing, &mut Vec::new(), &timeout()), ErrorKind::NoSuchPath)
}

fn failing_tar_source(context: &TestContext<'_>) -> Verdict {
    let dest = ContainerPath::new(context.fixture().scratch())?;
    ensure_refused(
        context.standing()?.copy_in_tar(&mut FailingStream, &dest, &timeout()),
        ErrorKind::SourceFailed,
    )
}

fn failing_tar_sink(context: &TestContext<'_>) -> Verdict {
    let source = ContainerPath::new(context.fixture().scratch())?;
    ensure_refused(
        context.standing()?.copy_out_tar(&source, &mut FailingStream, &timeout()),
        ErrorKind::SinkFailed,
    )
}
