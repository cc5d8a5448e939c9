//! How a command is started: its environment, its program by PATH, and what its process does before it becomes that.

use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;

use crate::agent::Agent;
use crate::kernel::{self, Errno, Fd, StringArray};
use crate::wire_format::{RequestBody, RequestHead, Stage};

/// Where it failed, and why.
#[derive(Clone, Copy)]
pub(crate) struct Failure(pub(crate) Stage, pub(crate) Errno);

/// Starts it, in a session of its own; its number.
pub(crate) fn start(
    agent: &Agent,
    head: &RequestHead,
    body: RequestBody<'_>,
    streams: [Fd; 3],
    mask: u64,
) -> Result<u32, Failure> {
    let no_process = |errno| Failure(Stage::Fork, errno);
    let mut arguments = StringArray::with_capacity(head.arguments as usize).map_err(no_process)?;
    body.arguments().for_each(|argument| arguments.push(argument));
    let kept = agent.environment.clone().filter(|variable| value_of(body, name(variable)).is_none());
    let count = kept.clone().count().saturating_add(head.variables as usize);
    let mut environment = StringArray::with_capacity(count).map_err(no_process)?;
    kept.for_each(|variable| environment.push(variable));
    body.variables().for_each(|variable| environment.push(variable));

    let failure = kernel::shared_numbers().map_err(no_process)?;
    let [stage, errno] = failure;
    let Some(leader) = kernel::fork_until_exec().map_err(no_process)? else {
        let Failure(why, Errno(number)) =
            replace_process(agent, head, body, streams, mask, &arguments, &environment);
        errno.store(number, Relaxed);
        stage.store(why as u32, Relaxed);
        kernel::exit(127);
    };
    match Stage::from_number(stage.load(Relaxed)) {
        None => Ok(leader),
        Some(stage) => Err(Failure(stage, Errno(errno.load(Relaxed)))),
    }
}

/// In the new process: returns only when it cannot become the command.
fn replace_process(
    agent: &Agent,
    head: &RequestHead,
    body: RequestBody<'_>,
    streams: [Fd; 3],
    mask: u64,
    arguments: &StringArray<'_>,
    environment: &StringArray<'_>,
) -> Failure {
    kernel::new_session();
    for (stream, place) in streams.into_iter().zip(0..) {
        let is_given = place > 0 || head.has_stdin;
        if is_given && let Err(errno) = kernel::duplicate(stream, place) {
            return Failure(Stage::Streams, errno);
        }
    }
    let wanted = body.workdir();
    let workdir = if wanted.is_empty() { agent.workdir } else { wanted };
    if let Err(errno) = kernel::enter(workdir) {
        return Failure(Stage::Workdir, errno);
    }
    kernel::set_signal_mask(mask);
    let Some(program) = body.arguments().next() else { return Failure(Stage::Request, Errno(0)) };
    let execute = |path: &CStr| {
        let errno = kernel::execve(path, arguments, environment);
        let stage =
            if errno == Errno::NOENT && kernel::exists(path) { Stage::Interpreter } else { Stage::Exec };
        Failure(stage, errno)
    };
    if program.to_bytes().contains(&b'/') {
        return execute(program);
    }
    let path = value_of(body, b"PATH").or_else(|| {
        let mut environment = agent.environment.clone();
        environment.find_map(|variable| value(variable, b"PATH"))
    });
    by_path(program.to_bytes(), path.unwrap_or_default(), execute)
}

/// Tries the directories of PATH, as execvp(3) does: an empty one is the working directory.
fn by_path(program: &[u8], path: &[u8], execute: impl Fn(&CStr) -> Failure) -> Failure {
    let mut found = Failure(Stage::Exec, Errno::NOENT);
    if program.is_empty() {
        return found;
    }
    for directory in path.split(|byte| *byte == b':') {
        let mut buffer = [0; 4096];
        let Some(candidate) = join(directory, program, &mut buffer) else { continue };
        match execute(candidate) {
            Failure(Stage::Exec, Errno::NOENT | Errno::NOTDIR) => {}
            // Another directory may have one that can be executed.
            denied @ Failure(Stage::Exec, Errno::ACCES) => found = denied,
            other => return other,
        }
    }
    found
}

fn join<'b>(directory: &[u8], program: &[u8], buffer: &'b mut [u8]) -> Option<&'b CStr> {
    let directory = if directory.is_empty() { b"." } else { directory };
    let bytes = directory.iter().chain(b"/").chain(program).chain(b"\0");
    let length = directory.len() + program.len() + 2;
    for (place, byte) in buffer.get_mut(..length)?.iter_mut().zip(bytes) {
        *place = *byte;
    }
    CStr::from_bytes_until_nul(buffer).ok()
}

/// The name of a variable: what stands before the first `=`.
fn name(variable: &CStr) -> &[u8] {
    variable.to_bytes().split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// The value of a variable, if it has this name.
fn value<'a>(variable: &'a CStr, name: &[u8]) -> Option<&'a [u8]> {
    variable.to_bytes().strip_prefix(name)?.strip_prefix(b"=")
}

/// The value that the request sets a variable to.
fn value_of<'a>(body: RequestBody<'a>, name: &[u8]) -> Option<&'a [u8]> {
    body.variables().find_map(|variable| value(variable, name))
}
