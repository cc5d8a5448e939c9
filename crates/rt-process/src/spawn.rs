//! Starts a process: its group, its streams, and the meaning of a failed start. The only place in
//! the workspace that starts one.

pub(crate) mod program;
pub(crate) mod secret_file;
pub(crate) mod spec;

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::{ChildStdio, ProcessError, ProcessSpec};
use secret_file::SecretFile;
use spec::EnvChange;

/// Moves stdin and stdout to the descriptors 3 and 4, and becomes the program.
const PASS_DESCRIPTORS: &str = "exec \"$@\" 3<&0 4<&1 0</dev/null 1>&2";

/// Starts a process in a group of its own.
pub(crate) fn spawn(
    spec: &ProcessSpec,
    stdio: ChildStdio,
) -> Result<(Child, Option<SecretFile>), ProcessError> {
    if ignores_sigchld() {
        return Err(ProcessError::SigchldIgnored { program: spec.program().path().to_owned() });
    }
    let secret_file = spec.secret_bytes().map(|(bytes, uses)| SecretFile::new(bytes, *uses)).transpose()?;
    if secret_file.is_some() || spec.passes_descriptors() {
        // The shell would report the refusal only as text and a code.
        access(spec.program().path(), Access::EXEC_OK).map_err(|errno| spawn_error(spec, errno.into()))?;
    }
    let mut command = command(spec, secret_file.as_ref());
    command.stdin(stdio.stdin).stdout(stdio.stdout).stderr(stdio.stderr).process_group(0);
    let child = command.spawn().map_err(|error| spawn_error(spec, error))?;
    // The command holds descriptors that were given to it. While they are open here, no output
    // would ever end.
    drop(command);
    tracing::debug!(
        target: "rt_process",
        program = %spec.program().path().display(),
        arguments = spec.argument_count(),
        pid = child.id(),
        "process started"
    );
    Ok((child, secret_file))
}

/// Returns whether this program ignores SIGCHLD, by itself or inherited: field `SigIgn` of proc(5).
/// False if that cannot be read.
fn ignores_sigchld() -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & (1 << (Signal::CHILD.as_raw() - 1)) != 0
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that starts local processes")]
fn command(spec: &ProcessSpec, secret_file: Option<&SecretFile>) -> Command {
    let program = spec.program().path();
    let mut command = if let Some(file) = secret_file {
        let mut shell = Command::new(secret_file::SHELL);
        shell.args(["-c", secret_file::SCRIPT, &file.path()]).arg(program);
        shell
    } else if spec.passes_descriptors() {
        let mut shell = Command::new(secret_file::SHELL);
        shell.args(["-c", PASS_DESCRIPTORS, secret_file::SHELL]).arg(program);
        shell
    } else {
        Command::new(program)
    };
    command.args(spec.arguments());
    for change in spec.environment() {
        match change {
            EnvChange::Clear => command.env_clear(),
            EnvChange::Remove(name) => command.env_remove(name),
            EnvChange::Set(name, value) => command.env(name, value.expose()),
        };
    }
    if let Some(directory) = spec.directory() {
        command.current_dir(directory);
    }
    command
}

/// Builds the error of a failed start. The system returns one number for a missing directory,
/// program or interpreter, so the first two are checked.
fn spawn_error(spec: &ProcessSpec, source: io::Error) -> ProcessError {
    let program = spec.program().path();
    let errno = Errno::from_io_error(&source);
    if errno == Some(Errno::TOOBIG) {
        return ProcessError::TooLong { program: program.to_owned(), arguments: spec.argument_count() };
    }
    if let Some(directory) = spec.directory()
        && matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS))
        && !can_enter(directory)
    {
        return ProcessError::WorkingDirectory { path: directory.to_owned(), source };
    }
    match errno {
        Some(Errno::NOENT | Errno::NOTDIR) if !program.exists() => {
            ProcessError::NotFound { program: program.to_owned() }
        }
        Some(Errno::NOENT | Errno::ACCESS | Errno::NOEXEC) => {
            ProcessError::NotExecutable { path: program.to_owned(), source: Some(source) }
        }
        _ => ProcessError::Spawn { program: program.to_owned(), source },
    }
}

fn can_enter(directory: &Path) -> bool {
    directory.is_dir() && access(directory, Access::EXEC_OK).is_ok()
}
