//! Finds a program. `spawn` starts it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::ProcessError;

/// A program that was found and can be executed.
///
/// When it was found, the file existed and this user had execute permission. Whether the kernel can
/// run its format shows only when it is started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// Finds a program: a name without a slash on `PATH`, any other name as a path from the current
    /// directory.
    ///
    /// # Errors
    /// - [`NotFound`](ProcessError::NotFound): no entry with this name on `PATH`, or nothing at the
    ///   path.
    /// - [`NotExecutable`](ProcessError::NotExecutable): entries with this name exist, but none is
    ///   a file that this user may execute.
    pub fn find(name: impl AsRef<OsStr>) -> Result<Self, ProcessError> {
        let name = name.as_ref();
        if name.as_bytes().contains(&b'/') { at_path(Path::new(name)) } else { on_path(name) }
    }

    /// Returns the absolute path. Links are not resolved, because a program may depend on the name
    /// it is called by.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn at_path(path: &Path) -> Result<Program, ProcessError> {
    let absolute =
        std::path::absolute(path).map_err(|_| ProcessError::NotFound { program: path.to_owned() })?;
    if which::which(&absolute).is_ok() {
        return Ok(Program { path: absolute });
    }
    match absolute.metadata() {
        Ok(_) => Err(ProcessError::NotExecutable { path: absolute, source: None }),
        Err(denied) if denied.kind() == io::ErrorKind::PermissionDenied => {
            Err(ProcessError::NotExecutable { path: absolute, source: Some(denied) })
        }
        Err(_) => Err(ProcessError::NotFound { program: path.to_owned() }),
    }
}

fn on_path(name: &OsStr) -> Result<Program, ProcessError> {
    let not_found = || ProcessError::NotFound { program: name.into() };
    if name.is_empty() {
        return Err(not_found());
    }
    if let Ok(found) = which::which(name) {
        // An entry of PATH may be relative; the process may be started in another directory.
        return std::path::absolute(found).map(|path| Program { path }).map_err(|_| not_found());
    }
    // A directory with this name is skipped, as shells do.
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .map_or_else(
            || Err(not_found()),
            |candidate| Err(ProcessError::NotExecutable { path: candidate, source: None }),
        )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_name_is_found_on_the_path_and_becomes_absolute() {
        let shell = Program::find("sh").unwrap();
        assert!(shell.path().is_absolute() && shell.path().ends_with("sh"), "{shell:?}");
        assert_eq!(Program::find(shell.path()).unwrap(), shell);
    }

    #[test]
    fn missing_and_not_executable_programs_are_two_errors() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plain");
        assert!(matches!(Program::find(&file), Err(ProcessError::NotFound { .. })));
        assert!(matches!(Program::find("no-such-program-anywhere"), Err(ProcessError::NotFound { .. })));
        assert!(matches!(Program::find(""), Err(ProcessError::NotFound { .. })));

        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        match Program::find(&file) {
            Err(ProcessError::NotExecutable { path, .. }) => assert_eq!(path, file),
            other => panic!("{other:?}"),
        }
        assert!(matches!(Program::find(directory.path()), Err(ProcessError::NotExecutable { .. })));

        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Program::find(&file).unwrap().path(), file);
    }
}
