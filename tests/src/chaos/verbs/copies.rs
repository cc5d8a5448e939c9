//! Copies both ways, files and archives.

use std::fs;
use std::io::Read as _;

use rt_protocol::{ContainerPath, CopyOptions, Error, Until};
use tempfile::TempDir;

use crate::chaos::store_processes::Role;
use crate::chaos::turn::{SLACK, TIMEOUT, Turn};
use crate::chaos::verdict::{Verdict, right_error};
use crate::sandbox::Sandbox;
use crate::ssh_lab::Result;

const INSIDE: &str = "/tmp/file";

/// The largest file, as a power of two: more than is on its way at any moment.
const BITS: u32 = 24;

pub(super) fn copy_in(turn: &mut Turn<'_>) -> Result<Verdict> {
    let directory = TempDir::new()?;
    let (source, bytes) = (directory.path().join("source"), some_bytes(turn));
    fs::write(&source, &bytes)?;
    let dest = ContainerPath::new(INSIDE)?;
    arrived(turn, &bytes, |sandbox| {
        sandbox.container.copy_in(&source, &dest, &CopyOptions::new(), &Until::after(TIMEOUT))
    })
}

pub(super) fn copy_in_tar(turn: &mut Turn<'_>) -> Result<Verdict> {
    let bytes = some_bytes(turn);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "file", &bytes[..])?;
    let archive = archive.into_inner()?;
    let dest = ContainerPath::new("/tmp")?;
    arrived(turn, &bytes, |sandbox| {
        sandbox.container.copy_in_tar(&mut &archive[..], &dest, &Until::after(TIMEOUT))
    })
}

pub(super) fn copy_out(turn: &mut Turn<'_>) -> Result<Verdict> {
    let directory = TempDir::new()?;
    let dest = directory.path().join("dest");
    let source = ContainerPath::new(INSIDE)?;
    taken(turn, |sandbox| {
        sandbox.container.copy_out(&source, &dest, &CopyOptions::new(), &Until::after(TIMEOUT))?;
        Ok(fs::read(&dest).unwrap_or_default())
    })
}

pub(super) fn copy_out_tar(turn: &mut Turn<'_>) -> Result<Verdict> {
    let source = ContainerPath::new(INSIDE)?;
    taken(turn, |sandbox| {
        let mut archive = Vec::new();
        sandbox.container.copy_out_tar(&source, &mut archive, &Until::after(TIMEOUT))?;
        Ok(only_file(&archive).unwrap_or_default())
    })
}

/// A copy into a container: when it is said to be done, the whole file is there.
fn arrived(
    turn: &mut Turn<'_>,
    bytes: &[u8],
    copy: impl FnOnce(&Sandbox<'_>) -> std::result::Result<(), Error> + Send,
) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let answer = turn.with_faults("copy in", TIMEOUT + SLACK, || copy(&sandbox));
    let verdict = match answer {
        Ok(()) => {
            let there = plain_copy(turn, &sandbox).unwrap_or_default();
            if there == bytes {
                Ok("copied".into())
            } else {
                Err(format!("it is said to be copied: {} of {} bytes are", there.len(), bytes.len()))
            }
        }
        Err(error) => right_error(&error, turn.has_harmed(&[Role::Main, Role::Conmon])),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

/// A copy out of a container: what is handed over as done is the whole file.
fn taken(
    turn: &mut Turn<'_>,
    copy: impl FnOnce(&Sandbox<'_>) -> std::result::Result<Vec<u8>, Error> + Send,
) -> Result<Verdict> {
    let directory = TempDir::new()?;
    let (source, bytes) = (directory.path().join("source"), some_bytes(turn));
    fs::write(&source, &bytes)?;
    let (sandbox, main) = turn.idle()?;
    let source = source.to_str().ok_or("a path that is not UTF-8")?;
    turn.live.plain(&["cp", source, &format!("{}:{INSIDE}", sandbox.name)])?;
    let answer = turn.with_faults("copy out", TIMEOUT + SLACK, || copy(&sandbox));
    let verdict = match answer {
        Ok(here) if here == bytes => Ok("copied".into()),
        Ok(here) => Err(format!("it is said to be copied: {} of {} bytes are", here.len(), bytes.len())),
        Err(error) => right_error(&error, turn.has_harmed(&[Role::Main, Role::Conmon])),
    };
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

fn some_bytes(turn: &mut Turn<'_>) -> Vec<u8> {
    let count = crate::chaos::random::number(&mut turn.rng, 0..=BITS);
    let mut bytes = vec![0; usize::try_from(count).unwrap_or_default()];
    turn.rng.fill(&mut bytes);
    bytes
}

fn plain_copy(turn: &Turn<'_>, sandbox: &Sandbox<'_>) -> Result<Vec<u8>> {
    let directory = TempDir::new()?;
    let dest = directory.path().join("dest");
    let word = dest.to_str().ok_or("a path that is not UTF-8")?;
    turn.live.plain(&["cp", &format!("{}:{INSIDE}", sandbox.name), word])?;
    Ok(fs::read(dest)?)
}

fn only_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut file = archive.entries().ok()?.next()?.ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
