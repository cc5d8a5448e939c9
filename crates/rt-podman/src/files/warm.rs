//! Operations on files by an agent of the container's root. `None` if no agent serves it.

use rt_agent::FileRequest;
use rt_protocol::{ContainerPath, DirEntry, Error, ErrorKind, FileInfo, FileOptions, Result};

use super::file_target::FileTarget;
use crate::exec::warm::WarmCall;

pub(super) fn write(
    files: &FileTarget<'_>,
    path: &ContainerPath,
    bytes: &[u8],
    options: &FileOptions,
) -> Result<Option<()>> {
    let request = in_container(files, FileRequest::write(path, bytes, options))?;
    Ok(run(files, &request)?.map(drop))
}

pub(super) fn read(files: &FileTarget<'_>, path: &ContainerPath, limit: u64) -> Result<Option<Vec<u8>>> {
    let request = in_container(files, FileRequest::read(path, limit))?;
    let answer = run(files, &request)?.map(|answer| request.contents(answer));
    in_container(files, answer.transpose())
}

#[expect(clippy::option_option, reason = "no agent, or nothing is there")]
pub(super) fn stat(files: &FileTarget<'_>, path: &ContainerPath) -> Result<Option<Option<FileInfo>>> {
    let request = in_container(files, FileRequest::stat(path))?;
    let answer = match run(files, &request) {
        Err(error) if error.kind() == ErrorKind::NoSuchPath => return Ok(Some(None)),
        answer => answer?.map(|answer| request.info(&answer)),
    };
    in_container(files, answer.transpose()).map(|info| info.map(Some))
}

pub(super) fn list(files: &FileTarget<'_>, path: &ContainerPath) -> Result<Option<Vec<DirEntry>>> {
    let request = in_container(files, FileRequest::list(path))?;
    let answer = run(files, &request)?.map(|answer| request.entries(&answer));
    in_container(files, answer.transpose())
}

pub(super) fn remove(files: &FileTarget<'_>, path: &ContainerPath) -> Result<Option<()>> {
    let request = in_container(files, FileRequest::remove(path))?;
    Ok(run(files, &request)?.map(drop))
}

fn in_container<T>(files: &FileTarget<'_>, answer: Result<T>) -> Result<T> {
    answer.map_err(|error| error.in_container(files.container.name()))
}

fn run(files: &FileTarget<'_>, request: &FileRequest<'_>) -> Result<Option<Vec<u8>>> {
    let named = |error: Error| error.during(request.operation());
    let open = WarmCall::open(files.container, request.as_command(), true, files.until);
    let Some(warm) = open.map_err(named)? else { return Ok(None) };
    files.span.set_path("warm");
    warm.file(request, files.until).map_err(named)
}
