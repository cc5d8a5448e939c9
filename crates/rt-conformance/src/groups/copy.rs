//! Copy: files and directories into and out of containers.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rt_protocol::{
    CancelToken, Capability, Container, ContainerPath, ContainerState, CopyOptions, ErrorKind, Until,
};

use crate::case::{Case, Group, Need};
use crate::ensure::{refused, same_bytes};
use crate::lab::{inside, patience};
use crate::script::pattern;
use crate::{Failure, Lab, Script, Verdict};

const fn fact(name: &'static str, run: fn(&Lab<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Copy, run).can(IN).needs(&[Need::Shell, Need::Files])
}

const IN: &[Capability] = &[Capability::CopyIn];
const OUT: &[Capability] = &[Capability::CopyOut];
const TAR: &[Capability] = &[Capability::CopyTar];
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
    fact("copy: a call that may not begin copies nothing", not_begun),
    fact("copy: a container that is not running takes files too", not_running).can(&[
        Capability::CopyIn,
        Capability::Create,
        Capability::Start,
        Capability::ForceRemove,
    ]),
    fact("copy: a file comes out as it is", file_out).can(OUT),
    fact("copy: a directory comes out by its contents", directory_out).can(OUT),
    fact("copy: what is missing does not come out", missing_out).can(OUT).needs(BARE),
    fact("copy: a tar stream goes out and in", tar_round_trip).can(TAR),
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
    let result = Lab::run_in(container, &Script::ReadFile(path.as_os_str().to_owned()))?;
    ensure!(result.ok(), "{path} is not in the guest");
    Ok(result.stdout.into_bytes())
}

fn names(container: &dyn Container, path: &ContainerPath) -> Result<Vec<String>, Failure> {
    let text = Lab::text_in(container, &Script::List(path.as_os_str().to_owned()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Writes a file of the host with these bytes, copies it to a new directory of the guest, and reads it there.
fn through(lab: &Lab<'_>, bytes: &[u8]) -> Verdict {
    let standing = lab.standing()?;
    let source = lab.host_dir()?.join("source");
    fs::write(&source, bytes)?;
    let dest = path(&lab.guest_dir(standing.as_ref())?, "given")?;
    standing.copy_in(&source, &dest, &options(), &patience())?;
    same_bytes("the file in the guest", &contents(standing.as_ref(), &dest)?, bytes)
}

fn file(lab: &Lab<'_>) -> Verdict {
    through(lab, &(0..=255).collect::<Vec<u8>>())
}

fn empty_file(lab: &Lab<'_>) -> Verdict {
    through(lab, b"")
}

fn big_file(lab: &Lab<'_>) -> Verdict {
    through(lab, &pattern(4 << 20))
}

fn into_directory(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let source = lab.host_dir()?.join("its own");
    fs::write(&source, "x")?;
    let dest = lab.guest_dir(standing.as_ref())?;
    standing.copy_in(&source, &dest, &options(), &patience())?;
    ensure_eq!(names(standing.as_ref(), &dest)?, ["its own"], "the names in the directory");
    Ok(())
}

fn replaced(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let source = lab.host_dir()?.join("source");
    let dest = path(&lab.guest_dir(standing.as_ref())?, "given")?;
    for bytes in ["the longer first one", "second"] {
        fs::write(&source, bytes)?;
        standing.copy_in(&source, &dest, &options(), &patience())?;
        same_bytes("the file in the guest", &contents(standing.as_ref(), &dest)?, bytes.as_bytes())?;
    }
    Ok(())
}

fn executable(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let source = lab.host_dir()?;
    for (name, mode) in [("runs", 0o755), ("rests", 0o644)] {
        fs::write(source.join(name), "#!/bin/sh\n")?;
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode))?;
    }
    let dest = lab.guest_dir(standing.as_ref())?;
    standing.copy_in(&source, &dest, &options(), &patience())?;
    let may = |name| {
        Ok::<_, Failure>(Lab::run_in(standing.as_ref(), &Script::IsExecutable(inside(&dest, name)))?.ok())
    };
    ensure!(may("runs")?, "a file of mode 755 may not be executed");
    ensure!(!may("rests")?, "a file of mode 644 may be executed");
    Ok(())
}

/// A directory of the host with a file, a directory and a file in that.
fn tree(lab: &Lab<'_>) -> Result<std::path::PathBuf, Failure> {
    let source = lab.host_dir()?;
    fs::write(source.join("a"), "first")?;
    fs::create_dir(source.join("deep"))?;
    fs::write(source.join("deep").join("b"), "second")?;
    Ok(source)
}

fn directory(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let dest = path(&lab.guest_dir(standing.as_ref())?, "new")?;
    standing.copy_in(&tree(lab)?, &dest, &options(), &patience())?;
    ensure_eq!(names(standing.as_ref(), &dest)?, ["a", "deep"], "the names in the new directory");
    same_bytes("the deep file", &contents(standing.as_ref(), &path(&dest, "deep/b")?)?, b"second")
}

fn merged(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let dest = lab.guest_dir(standing.as_ref())?;
    Lab::text_in(
        standing.as_ref(),
        &Script::WriteFile { path: inside(&dest, "stays"), bytes: b"x".to_vec() },
    )?;
    for _ in 0..2 {
        standing.copy_in(&tree(lab)?, &dest, &options(), &patience())?;
    }
    ensure_eq!(names(standing.as_ref(), &dest)?, ["a", "deep", "stays"], "the names in the directory");
    Ok(())
}

fn odd_names(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let (source, dest) = (lab.host_dir()?, lab.guest_dir(standing.as_ref())?);
    for name in ["-", "-x", "--help", "name:path", " a b ", "$HOME", "\u{e4}"] {
        fs::write(source.join(name), name)?;
        standing.copy_in(&source.join(name), &dest, &options(), &patience())?;
        same_bytes("an odd file", &contents(standing.as_ref(), &path(&dest, name)?)?, name.as_bytes())?;
    }
    Ok(())
}

fn odd_destination(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let source = lab.host_dir()?.join("source");
    fs::write(&source, "x")?;
    let dest = path(&lab.guest_dir(standing.as_ref())?, "-a b:c $HOME")?;
    standing.copy_in(&source, &dest, &options(), &patience())?;
    same_bytes("the file in the guest", &contents(standing.as_ref(), &dest)?, b"x")
}

fn missing_source(lab: &Lab<'_>) -> Verdict {
    let source = lab.host_dir()?.join("nothing");
    let dest = ContainerPath::new(lab.fixture().scratch())?;
    refused(lab.standing()?.copy_in(&source, &dest, &options(), &patience()), ErrorKind::NoSuchPath)?;
    Ok(())
}

/// A file of the host, and a place in the guest whose parents are not there.
fn far_away(
    lab: &Lab<'_>,
    options: CopyOptions,
) -> Result<(rt_protocol::Result<()>, ContainerPath), Failure> {
    let standing = lab.standing()?;
    let source = lab.host_dir()?.join("source");
    fs::write(&source, "far")?;
    let dest = path(&lab.guest_dir(standing.as_ref())?, "not/there/given")?;
    Ok((standing.copy_in(&source, &dest, &options, &patience()), dest))
}

fn missing_parent(lab: &Lab<'_>) -> Verdict {
    let (answer, dest) = far_away(lab, options())?;
    refused(answer, ErrorKind::NoSuchPath)?;
    let read = lab.run(&Script::ReadFile(dest.as_os_str().to_owned()))?;
    ensure!(!read.ok(), "the file is there after all");
    Ok(())
}

fn parents_made(lab: &Lab<'_>) -> Verdict {
    let (answer, dest) = far_away(lab, options().create_parents())?;
    answer?;
    same_bytes("the file in the guest", &contents(lab.standing()?.as_ref(), &dest)?, b"far")
}

fn absent(lab: &Lab<'_>) -> Verdict {
    let source = lab.host_dir()?.join("source");
    fs::write(&source, "x")?;
    let answer = lab.absent()?.copy_in(&source, &ContainerPath::new("/x")?, &options(), &patience());
    refused(answer, ErrorKind::NoSuchContainer)?;
    Ok(())
}

fn not_begun(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let source = lab.host_dir()?.join("source");
    fs::write(&source, "x")?;
    let dest = lab.guest_dir(standing.as_ref())?;
    let token = CancelToken::new();
    token.cancel();
    let answer = standing.copy_in(&source, &dest, &options(), &patience().or_cancelled(&token));
    refused(answer, ErrorKind::Cancelled)?;
    let answer = standing.copy_in(&source, &dest, &options(), &Until::after(Duration::ZERO));
    refused(answer, ErrorKind::TimedOut)?;
    ensure!(names(standing.as_ref(), &dest)?.is_empty(), "the file was copied");
    Ok(())
}

fn not_running(lab: &Lab<'_>) -> Verdict {
    let container = lab.created(&Script::Stand)?;
    let source = lab.host_dir()?.join("source");
    fs::write(&source, "early")?;
    let dest = lab.guest_path()?;
    container.copy_in(&source, &dest, &options(), &patience())?;
    ensure_eq!(container.state()?, Some(ContainerState::Created), "the state after the copy");
    lab.begin(container.as_ref())?;
    same_bytes("the file in the guest", &contents(container.as_ref(), &dest)?, b"early")
}

/// A directory of the guest with one file in it.
fn guest_file(lab: &Lab<'_>, bytes: &[u8]) -> Result<ContainerPath, Failure> {
    let standing = lab.standing()?;
    let directory = lab.guest_dir(standing.as_ref())?;
    Lab::text_in(
        standing.as_ref(),
        &Script::WriteFile { path: inside(&directory, "made"), bytes: bytes.to_vec() },
    )?;
    Ok(directory)
}

fn file_out(lab: &Lab<'_>) -> Verdict {
    let bytes: Vec<u8> = (0..=255).collect();
    let source = path(&guest_file(lab, &bytes)?, "made")?;
    let dest = lab.host_dir()?.join("taken");
    lab.standing()?.copy_out(&source, &dest, &options(), &patience())?;
    same_bytes("the file on the host", &fs::read(&dest)?, &bytes)
}

fn directory_out(lab: &Lab<'_>) -> Verdict {
    let dest = lab.host_dir()?;
    lab.standing()?.copy_out(&guest_file(lab, b"x")?, &dest, &options(), &patience())?;
    same_bytes("the file on the host", &fs::read(dest.join("made"))?, b"x")
}

fn missing_out(lab: &Lab<'_>) -> Verdict {
    let dest = lab.host_dir()?.join("taken");
    let answer =
        lab.standing()?.copy_out(&ContainerPath::new("/rt/no/such/file")?, &dest, &options(), &patience());
    refused(answer, ErrorKind::NoSuchPath)?;
    ensure!(!Path::exists(&dest), "something is on the host");
    Ok(())
}

fn tar_round_trip(lab: &Lab<'_>) -> Verdict {
    let standing = lab.standing()?;
    let bytes = b"in a tar";
    let source = path(&guest_file(lab, bytes)?, "made")?;
    let mut tar = Vec::new();
    standing.copy_out_tar(&source, &mut tar, &patience())?;
    let dest = lab.guest_dir(standing.as_ref())?;
    standing.copy_in_tar(&mut &tar[..], &dest, &patience())?;
    same_bytes("the file in the guest", &contents(standing.as_ref(), &path(&dest, "made")?)?, bytes)
}

/// Fails at the first byte.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the suite's tar has failed"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("the suite's tar has failed"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failing_tar_source(lab: &Lab<'_>) -> Verdict {
    let dest = ContainerPath::new(lab.fixture().scratch())?;
    refused(lab.standing()?.copy_in_tar(&mut Broken, &dest, &patience()), ErrorKind::SourceFailed)?;
    Ok(())
}

fn failing_tar_sink(lab: &Lab<'_>) -> Verdict {
    let source = ContainerPath::new(lab.fixture().scratch())?;
    refused(lab.standing()?.copy_out_tar(&source, &mut Broken, &patience()), ErrorKind::SinkFailed)?;
    Ok(())
}
