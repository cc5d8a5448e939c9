//! `podman cp`, between the host and a container, running or not.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::Container;
use crate::store::random_id;
use crate::{archive, inside};

/// One side of a copy.
enum Side<'a> {
    Host(&'a str),
    Guest(&'a str, &'a str),
}

/// podman takes what stands before the first colon for a container, unless a slash or a dot comes
/// first.
fn side(word: &str) -> Side<'_> {
    match word.split_once(':') {
        Some((name, path)) if !word.starts_with(['/', '.']) && !name.contains('/') => Side::Guest(name, path),
        _ => Side::Host(word),
    }
}

pub(crate) fn cp(call: &Call) -> Reply {
    let [source, destination] = &call.words.operands[..] else {
        return Err(Answer::refused(
            125,
            format!("Error: accepts 2 arg(s), received {}", call.words.operands.len()),
        ));
    };
    match (side(source), side(destination)) {
        (Side::Guest(_, ""), _) | (_, Side::Guest(_, "")) => {
            let values = [("source", source.as_str()), ("destination", destination)];
            Err(call.profile.refusal("cp-no-paths", &values))
        }
        (Side::Host(source), Side::Guest(name, path)) => copy_in(call, source, &find(call, name)?, path),
        (Side::Guest(name, path), Side::Host(destination)) => {
            copy_out(call, &find(call, name)?, path, destination)
        }
        // Real podman hangs when both are the same container.
        (Side::Guest(..), Side::Guest(..)) => Err(Answer::own("it does not copy between containers")),
        (Side::Host(_), Side::Host(_)) => Err(call.profile.refusal("cp-two-hosts", &[])),
    }
}

fn find(call: &Call, name: &str) -> Result<Container, Answer> {
    call.store
        .find(&call.store.lock()?, &call.profile, name)?
        .ok_or_else(|| call.profile.refusal("cp-no-container", &[("name", name)]))
}

/// The place in the container, on the host; relative paths begin at its workdir.
fn place(call: &Call, container: &Container, path: &str) -> PathBuf {
    inside::locate(&call.store.current_root(container), &Path::new(&container.workdir).join(path))
}

fn not_in_container(call: &Call, container: &Container, path: &str) -> Answer {
    call.profile.refusal("cp-not-in-container", &[("path", path), ("name", &container.name)])
}

fn copy_in(call: &Call, source: &str, container: &Container, path: &str) -> Reply {
    let target = place(call, container, path);
    if source == "-" {
        return unpack_in(call, container, path, &target);
    }
    if fs::metadata(source).is_err() {
        return Err(call.profile.refusal("cp-not-on-host", &[("path", source)]));
    }
    // podman follows a source that is a link.
    let real = fs::canonicalize(source)?;
    let missing = || not_in_container(call, container, path);
    put(call, &real, source, &target, path.ends_with('/'), &missing)
}

fn unpack_in(call: &Call, container: &Container, path: &str, target: &Path) -> Reply {
    if !target.exists() {
        return Err(not_in_container(call, container, path));
    }
    if !target.is_dir() {
        return Err(call.profile.refusal("cp-tar-onto-file", &[]));
    }
    // podman takes all of its stdin before it looks at it; when it is killed, the file stays.
    let path = std::env::temp_dir().join(format!("podman{}", random_id()?));
    let mut spool = File::options().read(true).write(true).create_new(true).open(&path)?;
    let unpacked = io::copy(&mut io::stdin().lock(), &mut spool)
        .and_then(|_| spool.rewind())
        .and_then(|()| archive::unpack(&spool, target));
    fs::remove_file(path)?;
    unpacked.map_err(|_| call.profile.refusal("cp-tar-broken", &[]))?;
    Ok(Answer::silent())
}

fn copy_out(call: &Call, container: &Container, path: &str, destination: &str) -> Reply {
    let source = place(call, container, path);
    if !source.exists() {
        return Err(not_in_container(call, container, path));
    }
    if destination == "-" {
        let name = source.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
        let contents = has_contents_suffix(path) || name.is_empty();
        archive::pack(&source, &name, contents, io::stdout().lock()).map_err(|_| Answer::code(125))?;
        return Ok(Answer::silent());
    }
    let missing = || call.profile.refusal("cp-not-on-host", &[("path", destination)]);
    put(call, &source, path, Path::new(destination), destination.ends_with('/'), &missing)
}

/// `DIRECTORY/.` means its contents.
fn has_contents_suffix(word: &str) -> bool {
    word == "." || word.ends_with("/.")
}

/// Copies `source`, called `word`, to `target`.
fn put(
    call: &Call,
    source: &Path,
    word: &str,
    target: &Path,
    target_is_directory: bool,
    missing: &dyn Fn() -> Answer,
) -> Reply {
    let has_parent = target.parent().is_some_and(Path::is_dir);
    let exists = target.exists();
    if !exists && (!has_parent || target_is_directory) {
        return Err(missing());
    }
    if !source.is_dir() {
        let target =
            if target.is_dir() { target.join(file_name(source, word)) } else { target.to_path_buf() };
        if target.is_dir() {
            return Err(in_the_way(call, &target)(io::ErrorKind::AlreadyExists.into()));
        }
        archive::copy_entry(source, &target, false)?;
        return Ok(Answer::silent());
    }
    if exists && !target.is_dir() {
        return Err(call.profile.refusal("cp-onto-file", &[]));
    }
    if exists && !has_contents_suffix(word) {
        archive::copy_entry(source, &target.join(file_name(source, word)), false)
            .map_err(in_the_way(call, target))?;
    } else {
        if !exists {
            fs::create_dir(target)?;
        }
        archive::copy_tree(source, target, false).map_err(in_the_way(call, target))?;
    }
    Ok(Answer::silent())
}

/// Something of another kind is in the way.
fn in_the_way<'a>(call: &'a Call, target: &Path) -> impl FnOnce(io::Error) -> Answer + use<'a> {
    let path = target.to_string_lossy().into_owned();
    move |error| match error.kind() {
        io::ErrorKind::AlreadyExists => call.profile.refusal("cp-in-the-way", &[("path", &path)]),
        _ => error.into(),
    }
}

/// The name under which a source goes into a directory: its own, also when it is a link to
/// something else.
fn file_name(source: &Path, word: &str) -> PathBuf {
    Path::new(word).file_name().or(source.file_name()).map(PathBuf::from).unwrap_or_default()
}
