//! Starts a command: its environment, its program by PATH, and the setup between fork and exec.

use core::ffi::CStr;

use crate::inherited::Inherited;
use crate::kernel::{self, Errno, Fd, StringArray};
use crate::wire_format::{RequestBody, RequestHead, Stage};

/// The step that failed, and the kernel's error.
#[derive(Clone, Copy)]
pub(crate) struct Failure(pub(crate) Stage, pub(crate) Errno);

/// Starts the command in its own session, and returns its process id.
pub(crate) fn start(
    inherited: &Inherited,
    head: &RequestHead,
    body: RequestBody<'_>,
    streams: [Fd; 3],
    mask: u64,
) -> Result<u32, Failure> {
    let no_process = |errno| Failure(Stage::Fork, errno);
    let mut arguments = StringArray::with_capacity(head.arguments as usize).map_err(no_process)?;
    body.arguments().for_each(|argument| arguments.push(argument));
    let kept = inherited.environment.clone().filter(|variable| value_of(body, name(variable)).is_none());
    let count = kept.clone().count().saturating_add(head.variables as usize);
    let mut environment = StringArray::with_capacity(count).map_err(no_process)?;
    kept.for_each(|variable| environment.push(variable));
    body.variables().for_each(|variable| environment.push(variable));

    let mut starting =
        Starting { inherited, head, body, streams, mask, arguments, environment, failure: None };
    let leader = kernel::run_until_exec(&mut starting, |starting| {
        starting.failure = Some(starting.replace_process());
    });
    let leader = leader.map_err(no_process)?;
    starting.failure.map_or(Ok(leader), Err)
}

/// A command that is about to start.
struct Starting<'a> {
    inherited: &'a Inherited,
    head: &'a RequestHead,
    body: RequestBody<'a>,
    streams: [Fd; 3],
    mask: u64,
    arguments: StringArray<'a>,
    environment: StringArray<'a>,
    /// Why it could not start, from the new process.
    failure: Option<Failure>,
}

impl Starting<'_> {
    /// Runs in the new process. Returns only if it cannot become the command.
    fn replace_process(&self) -> Failure {
        if let Err(errno) = kernel::new_session() {
            return Failure(Stage::Fork, errno);
        }
        for (stream, place) in self.streams.into_iter().zip(0..) {
            let is_given = place > 0 || self.head.has_stdin || self.head.terminal.is_some();
            if is_given && let Err(errno) = kernel::duplicate(stream, place) {
                return Failure(Stage::Streams, errno);
            }
        }
        if self.head.terminal.is_some()
            && let Err(errno) = kernel::control_by_terminal(0)
        {
            return Failure(Stage::Terminal, errno);
        }
        let wanted = self.body.workdir();
        let workdir = if wanted.is_empty() { self.inherited.workdir } else { wanted };
        if let Err(errno) = kernel::enter(workdir) {
            return Failure(Stage::Workdir, errno);
        }
        kernel::set_signal_mask(self.mask);
        let Some(program) = self.body.arguments().next() else { return Failure(Stage::Request, Errno(0)) };
        if program.to_bytes().contains(&b'/') {
            return self.execute(program);
        }
        let path = value_of(self.body, b"PATH").or_else(|| {
            let mut environment = self.inherited.environment.clone();
            environment.find_map(|variable| value(variable, b"PATH"))
        });
        by_path(program.to_bytes(), path.unwrap_or_default(), |path| self.execute(path))
    }

    fn execute(&self, path: &CStr) -> Failure {
        let errno = kernel::execve(path, &self.arguments, &self.environment);
        let stage =
            if errno == Errno::NOENT && kernel::exists(path) { Stage::Interpreter } else { Stage::Exec };
        Failure(stage, errno)
    }
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

/// Returns the name of a variable: the text before the first `=`.
fn name(variable: &CStr) -> &[u8] {
    variable.to_bytes().split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// Returns the value of a variable if it has this name.
fn value<'a>(variable: &'a CStr, name: &[u8]) -> Option<&'a [u8]> {
    variable.to_bytes().strip_prefix(name)?.strip_prefix(b"=")
}

/// Returns the value that the request sets for a variable.
fn value_of<'a>(body: RequestBody<'a>, name: &[u8]) -> Option<&'a [u8]> {
    body.variables().find_map(|variable| value(variable, name))
}
