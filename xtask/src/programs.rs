//! Where a program stands on PATH. Not more: whether it works is for its caller to try.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Directories of administration programs that the PATH of an ordinary user leaves out on Debian.
const ALSO: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The first executable file of this name on PATH, or in the sbin directories.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(&path, name).or_else(|| ALSO.iter().map(Path::new).find_map(|dir| executable(dir, name)))
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    // A relative entry of PATH would give another file after a change of directory.
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).find_map(|dir| executable(&dir, name))
}

fn executable(dir: &Path, name: &str) -> Option<PathBuf> {
    let file = dir.join(name);
    let data = file.metadata().ok()?;
    (data.is_file() && data.permissions().mode() & 0o111 != 0).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_the_execute_bit_is_no_program() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tool"), "").unwrap();
        assert_eq!(find_in(dir.path().as_os_str(), "tool"), None);
        std::fs::set_permissions(dir.path().join("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_in(dir.path().as_os_str(), "tool"), Some(dir.path().join("tool")));
    }

    #[test]
    fn relative_entries_of_path_are_skipped() {
        assert_eq!(find_in(OsStr::new(":.:bin"), "sh"), None);
    }
}
