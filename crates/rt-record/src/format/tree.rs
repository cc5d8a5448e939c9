//! What a copy out of a container leaves on the host. It is found by a comparison of before and
//! after, and a replay makes it again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::json::{self, object};

/// Detects that a file was changed. A copy may set its modification time, but not its status change
/// time (`ctime`).
#[derive(Debug, PartialEq, Eq)]
struct FileStamp(u64, u64, i64, i64);

/// The files at a host path before a copy.
#[derive(Debug)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, FileStamp>);

impl Snapshot {
    pub(crate) fn take(place: &Path) -> io::Result<Self> {
        let mut stamps = BTreeMap::new();
        walk(place, Path::new(""), &mut |path, metadata, _| {
            stamps.insert(path.to_owned(), stamp(metadata));
            Ok(())
        })?;
        Ok(Self(stamps))
    }

    /// Returns what is new or changed since.
    pub(crate) fn changes(&self, place: &Path) -> io::Result<Value> {
        let mut changes = Vec::new();
        walk(place, Path::new(""), &mut |path, metadata, at| {
            let known = self.0.get(path);
            if known == Some(&stamp(metadata)) {
                return Ok(());
            }
            let path_value = ("path", json::os(path));
            let kind = metadata.file_type();
            if kind.is_dir() {
                // An existing directory changes because of its new contents; it need not be made.
                if known.is_none() {
                    changes.push(object([path_value, ("directory", true.into())]));
                }
            } else if kind.is_symlink() {
                changes.push(object([path_value, ("link", json::os(fs::read_link(at)?))]));
            } else if kind.is_file() {
                let content = json::bytes(&fs::read(at)?);
                changes.push(object([
                    path_value,
                    ("file", content),
                    ("mode", (metadata.mode() & 0o777).into()),
                ]));
            }
            Ok(())
        })?;
        Ok(changes.into())
    }
}

fn stamp(metadata: &fs::Metadata) -> FileStamp {
    FileStamp(metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec())
}

type Visit<'v> = dyn FnMut(&Path, &fs::Metadata, &Path) -> io::Result<()> + 'v;

/// Visits all files, parents first. `place` itself may be a link; links within it are not followed.
fn walk(place: &Path, path: &Path, visit: &mut Visit<'_>) -> io::Result<()> {
    let at = if path.as_os_str().is_empty() { place.to_owned() } else { place.join(path) };
    let found = if path.as_os_str().is_empty() { fs::metadata(&at) } else { fs::symlink_metadata(&at) };
    let metadata = match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    visit(path, &metadata, &at)?;
    if metadata.is_dir() {
        let mut names =
            fs::read_dir(&at)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            walk(place, &path.join(name), visit)?;
        }
    }
    Ok(())
}

/// Makes the recorded changes at another path.
///
/// # Errors
/// Errors of the system; [`InvalidData`](io::ErrorKind::InvalidData) for an invalid record, or one
/// that leads outside `place`.
pub(crate) fn create(changes: &Value, place: &Path, create_parents: bool) -> io::Result<()> {
    if create_parents && let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    for change in changes.as_array().into_iter().flatten() {
        let path = change.get("path").and_then(json::to_os).map(PathBuf::from).ok_or_else(bad_record)?;
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(bad_record());
        }
        let at = if path.as_os_str().is_empty() { place.to_owned() } else { place.join(path) };
        if let Some(file) = change.get("file") {
            let mode = change.get("mode").and_then(Value::as_u64).and_then(|mode| u32::try_from(mode).ok());
            fs::write(&at, json::to_bytes(file).ok_or_else(bad_record)?)?;
            fs::set_permissions(&at, fs::Permissions::from_mode(mode.unwrap_or(0o644) & 0o777))?;
        } else if let Some(target) = change.get("link") {
            std::os::unix::fs::symlink(json::to_os(target).ok_or_else(bad_record)?, &at)?;
        } else {
            fs::create_dir_all(&at)?;
        }
    }
    Ok(())
}

fn bad_record() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the record of the copied files cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_made_again() {
        let home = tempfile::tempdir().unwrap();
        let (place, other) = (home.path().join("a"), home.path().join("b"));
        for directory in [&place, &other] {
            fs::create_dir_all(directory.join("old")).unwrap();
            fs::write(directory.join("old/kept"), "kept").unwrap();
        }
        fs::write(place.join("changed"), "before").unwrap();
        let snapshot = Snapshot::take(&place).unwrap();

        fs::create_dir(place.join("new")).unwrap();
        fs::write(place.join("new/file"), [0xff]).unwrap();
        fs::set_permissions(place.join("new/file"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::write(place.join("changed"), "another").unwrap();
        std::os::unix::fs::symlink("file", place.join("new/link")).unwrap();

        let changes = snapshot.changes(&place).unwrap();
        assert!(!changes.to_string().contains("kept"), "{changes}");
        create(&changes, &other, false).unwrap();
        assert_eq!(fs::read(other.join("new/link")).unwrap(), [0xff]);
        assert_eq!(fs::metadata(other.join("new/file")).unwrap().mode() & 0o777, 0o750);
        assert_eq!(fs::read(other.join("changed")).unwrap(), b"another");
    }

    #[test]
    fn one_file_goes_to_the_place_itself() {
        let home = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::take(&home.path().join("a")).unwrap();
        fs::write(home.path().join("a"), "text").unwrap();
        let changes = snapshot.changes(&home.path().join("a")).unwrap();
        assert!(create(&changes, &home.path().join("x/y"), false).is_err());
        create(&changes, &home.path().join("x/y"), true).unwrap();
        assert_eq!(fs::read(home.path().join("x/y")).unwrap(), b"text");
    }

    #[test]
    fn no_record_leads_out_of_the_place() {
        let home = tempfile::tempdir().unwrap();
        for path in ["../x", "/x", "a/../../x"] {
            let changes = Value::from(vec![object([("path", path.into()), ("file", "".into())])]);
            let error = create(&changes, &home.path().join("a"), false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{path}");
        }
    }
}
