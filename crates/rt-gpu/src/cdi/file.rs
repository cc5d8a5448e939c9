//! Finds and reads spec files. Each of them may turn out to be something else, such as a named
//! pipe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::limits::{LARGEST_SPEC_FILE, MOST_SPEC_FILES};
use super::problem::{CdiFault, CdiProblem};

/// The spec files of a directory.
#[derive(Debug, Default)]
pub(super) struct SpecFiles {
    /// Sorted by name.
    pub(super) files: Vec<PathBuf>,
    pub(super) problems: Vec<CdiProblem>,
}

/// Lists the spec files directly in a directory; `None` if the directory does not exist.
pub(super) fn spec_files(dir: &Path) -> Result<Option<SpecFiles>, CdiFault> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    let mut found = SpecFiles::default();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(&error))?;
        // A symbolic link to a directory counts as a file, as it does for engines.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        match path.extension().map(OsStrExt::as_bytes) {
            Some(b"json" | b"yaml") if found.files.len() < MOST_SPEC_FILES => found.files.push(path),
            Some(b"json" | b"yaml") => {
                found.problems.push(CdiProblem { path: dir.to_owned(), fault: CdiFault::TooManyFiles });
                break;
            }
            Some(b"yml") => found.problems.push(CdiProblem { path, fault: CdiFault::IgnoredName }),
            _ => {}
        }
    }
    found.files.sort();
    found.problems.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(Some(found))
}

/// Reads the text of a file.
pub(super) fn read(path: &Path) -> Result<String, CdiFault> {
    let file = open(path).map_err(|error| unreadable(&error))?;
    let about = file.metadata().map_err(|error| unreadable(&error))?;
    if !about.is_file() {
        return Err(CdiFault::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_SPEC_FILE + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > LARGEST_SPEC_FILE {
        return Err(CdiFault::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| CdiFault::NotUtf8)
}

/// Opens a file without waiting for the writer of a named pipe, and without acquiring a terminal.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn unreadable(error: &io::Error) -> CdiFault {
    CdiFault::Unreadable { reason: error.to_string() }
}
