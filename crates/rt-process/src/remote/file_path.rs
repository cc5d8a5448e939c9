//! What the paths of operations on files must be, before a container is asked.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use rt_protocol::{ContainerPath, ErrorKind, Result, file_operation};

use crate::{ExecMarker, FileFailure};

/// The longest name and the longest path of Linux, in bytes.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4095;

/// Refuses a path that can only mean a directory.
///
/// # Errors
/// [`IsADirectory`](ErrorKind::IsADirectory).
pub fn check_write(path: &ContainerPath) -> Result<()> {
    if path.names_directory() {
        return Err(FileFailure::new(ErrorKind::IsADirectory, "").into_error(file_operation::WRITE, path));
    }
    Ok(())
}

/// Refuses a path that is never removed: the root, and what ends with a dot.
///
/// # Errors
/// [`InvalidRequest`](ErrorKind::InvalidRequest).
pub fn check_removal(path: &ContainerPath) -> Result<()> {
    let mut parts = path.as_os_str().as_bytes().rsplit(|byte| *byte == b'/');
    match parts.find(|part| !part.is_empty()) {
        None | Some(b"." | b"..") => {
            let reason = "the root, `.` and `..` are not removed";
            Err(FileFailure::new(ErrorKind::InvalidRequest, reason).into_error(file_operation::REMOVE, path))
        }
        Some(_) => Ok(()),
    }
}

/// Refuses a path that no Linux takes.
///
/// # Errors
/// [`InvalidRequest`](ErrorKind::InvalidRequest).
pub fn check_length(operation: &'static str, path: &ContainerPath) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    let is_long = |part: &[u8]| part.len() > NAME_MAX;
    if bytes.len() > PATH_MAX || bytes.split(|byte| *byte == b'/').any(is_long) {
        let reason = "a name has at most 255 bytes, and a path 4095";
        return Err(FileFailure::new(ErrorKind::InvalidRequest, reason).into_error(operation, path));
    }
    Ok(())
}

/// Returns a path in the same directory that nothing has.
pub fn new_beside(path: &ContainerPath) -> OsString {
    let mut beside = path.as_path().parent().unwrap_or(path.as_path()).join(".rt-").into_os_string();
    beside.push(ExecMarker::fresh().value());
    beside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ContainerPath {
        ContainerPath::new(text).unwrap()
    }

    #[test]
    fn the_root_and_dots_are_not_removed() {
        for text in ["/", "/.", "/a/..", "//", "/a/./"] {
            assert_eq!(check_removal(&path(text)).unwrap_err().kind(), ErrorKind::InvalidRequest);
            assert_eq!(check_write(&path(text)).unwrap_err().kind(), ErrorKind::IsADirectory);
        }
        for text in ["/a", "/a/", "/...", "/../a"] {
            check_removal(&path(text)).unwrap();
        }
    }

    #[test]
    fn the_new_file_is_in_the_same_directory() {
        for (given, start) in [("/a/b", "/a/.rt-"), ("/b", "/.rt-")] {
            let beside = new_beside(&path(given));
            assert!(beside.as_bytes().starts_with(start.as_bytes()) && beside.len() < 60);
        }
    }

    #[test]
    fn lengths_are_those_of_linux() {
        let is_taken = |text: &str| check_length("read a file of", &path(text)).is_ok();
        assert!(is_taken(&format!("/{}", "n".repeat(255))) && !is_taken(&format!("/{}", "n".repeat(256))));
        assert!(is_taken(&"/n".repeat(2047)) && !is_taken(&"/n".repeat(2048)));
    }
}
