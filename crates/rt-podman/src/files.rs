//! Files of a container from memory. By an agent if there is one; otherwise by a shell script in
//! the container; and if it does not run or has no tools, by `podman cp`, as far as that goes.

pub(crate) mod file_target;
mod first_entry;
mod tar;
#[cfg(target_os = "linux")]
mod warm;
#[cfg(not(target_os = "linux"))]
#[path = "files/absent.rs"]
mod warm;

use rt_process::FileScripts;
use rt_protocol::{
    ContainerPath, DirEntry, Error, ErrorKind, ExecRequest, ExecStdio, FileInfo, FileOptions, Result,
    StdioResult, file_operation,
};

use crate::copy::container_path;
use crate::exec;
use file_target::FileTarget;

/// The user that files are written and read as: root of the container, as `podman cp` does.
const USER: &str = "0:0";

/// Writes a file.
pub(crate) fn write(
    target: &FileTarget<'_>,
    path: &ContainerPath,
    bytes: &[u8],
    options: &FileOptions,
) -> Result<()> {
    check(target, file_operation::WRITE)?;
    if warm::write(target, path, bytes, options)?.is_some() {
        return Ok(());
    }
    let script = |scripts: &FileScripts<'_>| scripts.write(path, bytes, options);
    cold(target, file_operation::WRITE, path, script, |error| {
        if options.atomic { Err(error) } else { tar::write(target, path, bytes, options) }
    })
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(target: &FileTarget<'_>, path: &ContainerPath, limit: u64) -> Result<Vec<u8>> {
    check(target, file_operation::READ)?;
    if let Some(bytes) = warm::read(target, path, limit)? {
        return Ok(bytes);
    }
    let script = |scripts: &FileScripts<'_>| scripts.read(path, limit);
    cold(target, file_operation::READ, path, script, |_| tar::read(target, path, limit))
}

/// Looks up a path.
pub(crate) fn stat(target: &FileTarget<'_>, path: &ContainerPath) -> Result<Option<FileInfo>> {
    check(target, file_operation::STAT)?;
    if let Some(info) = warm::stat(target, path)? {
        return Ok(info);
    }
    let script = |scripts: &FileScripts<'_>| scripts.stat(path);
    cold(target, file_operation::STAT, path, script, |_| tar::stat(target, path))
}

/// Lists a directory.
pub(crate) fn list(target: &FileTarget<'_>, path: &ContainerPath) -> Result<Vec<DirEntry>> {
    check(target, file_operation::LIST)?;
    if let Some(entries) = warm::list(target, path)? {
        return Ok(entries);
    }
    cold(target, file_operation::LIST, path, |scripts| scripts.list(path), Err)
}

/// Removes what is at a path.
pub(crate) fn remove(target: &FileTarget<'_>, path: &ContainerPath) -> Result<()> {
    check(target, file_operation::REMOVE)?;
    if warm::remove(target, path)?.is_some() {
        return Ok(());
    }
    cold(target, file_operation::REMOVE, path, |scripts| scripts.remove(path), Err)
}

fn check(target: &FileTarget<'_>, operation: &'static str) -> Result<()> {
    let stopped = |stop| Error::stopped(stop, operation).in_container(target.container.name());
    target.until.check().map_err(stopped)
}

/// Runs a script in the container. If it runs none, because it does not run itself or has no shell
/// or tools, `otherwise` is tried.
fn cold<T>(
    target: &FileTarget<'_>,
    operation: &'static str,
    path: &ContainerPath,
    script: impl FnOnce(&FileScripts<'_>) -> Result<T>,
    otherwise: impl FnOnce(Error) -> Result<T>,
) -> Result<T> {
    target.span.set_path("cold");
    let in_container = |error: Error| error.in_container(target.container.name());
    container_path(operation, path).map_err(in_container)?;
    let run = |request: &ExecRequest, stdio: ExecStdio<'_>| -> Result<StdioResult> {
        exec::cold_bridged(target.container, request, stdio, None, target.until)
    };
    match script(&FileScripts::new(&run, Some(USER))) {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::NotRunning) => {
            otherwise(error)
        }
        done => done,
    }
    .map_err(in_container)
}
