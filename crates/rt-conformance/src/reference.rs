//! Interprets a [`Script`] without a shell: a guest in memory, for fixtures of backends that run
//! nothing.
//!
//! The texts of the scripts define their meaning; this is a second implementation. A fixture keeps
//! one [`World`] for each container. [`World::refusal`] says whether a command can be started, and
//! [`World::play`] runs the script with the streams of the backend.

mod files;
mod guest;
mod terminal;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rt_protocol::sync::lock;
use rt_protocol::{CopyOptions, ErrorKind, ExecRequest, ExitOutcome, OutputStream};

use crate::{Script, Shape, script};
use files::Files;
pub use guest::Guest;
use guest::{print, say};

/// A guest in memory: its files and its processes.
#[derive(Debug, Default)]
pub struct World {
    files: Mutex<Files>,
    processes: Mutex<BTreeMap<u32, usize>>,
}

impl World {
    /// Creates a guest with `/`, `/tmp` and a shell.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns why a command cannot be started here; `None` if it can.
    pub fn refusal(&self, request: &ExecRequest) -> Option<ErrorKind> {
        let files = lock(&self.files);
        if request.workdir().is_some_and(|path| !files.is_directory(path.as_path())) {
            return Some(ErrorKind::BadWorkdir);
        }
        let known = |user: &str| user == "root" || user.bytes().all(|byte| byte.is_ascii_digit());
        if request.user().is_some_and(|user| !user.as_str().split(':').all(known)) {
            return Some(ErrorKind::UnknownUser);
        }
        let program = Path::new(request.argv().program());
        if program == Path::new("sh") || files.is_executable(program) {
            None
        } else if program.is_absolute() && files.exists(program) {
            Some(ErrorKind::CommandNotExecutable)
        } else {
            Some(ErrorKind::CommandNotFound)
        }
    }

    /// Copies a file or directory of the host into this guest, with the rules of
    /// [`Container::copy_in`](rt_protocol::Container::copy_in).
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchPath`] for a missing source or parent; [`ErrorKind::System`] if the
    /// host's files cannot be read.
    pub fn copy_in(&self, source: &Path, dest: &Path, options: &CopyOptions) -> Result<(), ErrorKind> {
        lock(&self.files).copy_in(source, dest, *options)
    }

    /// Mounts a directory of the host at this path.
    pub fn mount(&self, source: impl Into<PathBuf>, dest: impl Into<PathBuf>, read_only: bool) {
        lock(&self.files).mount(source.into(), dest.into(), read_only);
    }

    /// Makes a directory, and its parents.
    pub fn make_directory(&self, path: &Path) {
        lock(&self.files).make_directory(path);
    }

    /// Makes the root file system read-only, except for mounts and these directories.
    pub fn read_only_root(&self, writable: impl IntoIterator<Item = PathBuf>) {
        lock(&self.files).read_only_root(writable.into_iter().collect());
    }

    /// Runs a script to its end.
    ///
    /// # Errors
    /// The error with which the guest reported that the command was ended. Main processes that TERM
    /// ends return their exit code instead.
    pub fn play(&self, script: &Script, guest: &mut dyn Guest) -> io::Result<ExitOutcome> {
        let code = match script {
            Script::Exit(code) => *code,
            Script::Say { stdout, stderr, code } => {
                say(guest, stdout, stderr)?;
                *code
            }
            Script::SayAndStand { stdout, stderr } => {
                say(guest, stdout, stderr)?;
                stand(guest, 0)
            }
            Script::SayTwice { first, seconds, second, code } => {
                say(guest, first, b"")?;
                guest.wait(Some(script::seconds(*seconds)))?;
                say(guest, second, b"")?;
                *code
            }
            Script::Cat => {
                drain(guest, true)?;
                0
            }
            Script::CountStdin => {
                let total = drain(guest, false)?;
                print(guest, total)?
            }
            Script::Flood { stdout, stderr, code } => {
                flood(guest, *stdout, *stderr)?;
                *code
            }
            Script::Zeros(count) => {
                zeros(guest, *count)?;
                0
            }
            Script::Endless => loop {
                guest.write(OutputStream::Stdout, &b"y\n".repeat(4096))?;
            },
            Script::Words(words) => {
                for word in words {
                    say(guest, &[b"<", word.as_encoded_bytes(), b">"].concat(), b"")?;
                }
                0
            }
            Script::Length(word) => print(guest, word.len())?,
            Script::Variable(name) => {
                let value = guest.variable(name).unwrap_or_else(|| "(unset)".into());
                say(guest, value.as_encoded_bytes(), b"")?;
                0
            }
            Script::VariableLength(name) => {
                let length = guest.variable(name).map_or(0, |value| value.len());
                print(guest, length)?
            }
            Script::Workdir => {
                let workdir = guest.workdir();
                say(guest, workdir.as_os_str().as_encoded_bytes(), b"")?;
                0
            }
            Script::User => {
                let user = guest.user().map_or_else(|| "0:0".into(), |user| numeric(&user));
                print(guest, user)?
            }
            Script::Terminal
            | Script::TerminalSize
            | Script::Resized { .. }
            | Script::ReadLine
            | Script::RawCopy(_)
            | Script::EndOnInterrupt(_) => terminal::play(script, guest)?,
            Script::Sleep(seconds) => {
                guest.wait(Some(script::seconds(*seconds)))?;
                0
            }
            Script::Hold { shape, token } => return self.hold(*shape, *token, guest),
            Script::Count(token) => {
                print(guest, lock(&self.processes).get(token).copied().unwrap_or_default())?
            }
            Script::Leave(_) => {
                say(guest, b"done", b"")?;
                guest.leave_open();
                0
            }
            Script::Die(signal) => return Ok(ExitOutcome::Signal(signal.clone())),
            Script::Stand => stand(guest, 0),
            Script::EndOnTerm(code) => {
                say(guest, b"ready\n", b"")?;
                stand(guest, *code)
            }
            Script::Stubborn => {
                guest.wait(None)?;
                0
            }
            Script::MakeDir(_)
            | Script::WriteFile { .. }
            | Script::ReadFile(_)
            | Script::List(_)
            | Script::IsExecutable(_)
            | Script::Fill { .. }
            | Script::MakeMany { .. } => self.play_with_files(script, guest)?,
            // There are none here; a backend that has links makes them.
            Script::Link { .. } => 0,
            Script::Fifo(_) => 1,
        };
        Ok(ExitOutcome::Code(code))
    }

    fn play_with_files(&self, script: &Script, guest: &mut dyn Guest) -> io::Result<i32> {
        let mut files = lock(&self.files);
        let written = match script {
            Script::MakeDir(path) => {
                files.make_directory(Path::new(path));
                Some(Vec::new())
            }
            Script::WriteFile { path, bytes } => files.write(Path::new(path), bytes.clone()).then(Vec::new),
            Script::Fill { path, bytes } => {
                let size = usize::try_from(*bytes).unwrap_or_default();
                files.write(Path::new(path), vec![0; size]).then(Vec::new)
            }
            Script::MakeMany { directory, count } => {
                let mut names = script::many_names(*count);
                let write = |name| files.write(&Path::new(directory).join(name), Vec::new());
                names.all(write).then(Vec::new)
            }
            Script::ReadFile(path) => files.read(Path::new(path)),
            Script::List(path) => files
                .is_directory(Path::new(path))
                .then(|| files.names(Path::new(path)).join("\n").into_bytes()),
            Script::IsExecutable(path) => files.is_executable(Path::new(path)).then(Vec::new),
            _ => None,
        };
        drop(files);
        match written {
            Some(bytes) => {
                say(guest, &bytes, b"")?;
                Ok(0)
            }
            None => Ok(1),
        }
    }

    fn hold(&self, shape: Shape, token: u32, guest: &mut dyn Guest) -> io::Result<ExitOutcome> {
        *lock(&self.processes).entry(token).or_default() += shape.processes();
        let ended = say(guest, b"held\n", b"erred\n").and_then(|()| guest.wait(None));
        lock(&self.processes).remove(&token);
        ended.map(|()| ExitOutcome::Code(0))
    }
}

/// Stays until it is ended, which counts as TERM.
fn stand(guest: &mut dyn Guest, code: i32) -> i32 {
    let _ = guest.wait(None);
    code
}

fn drain(guest: &mut dyn Guest, echo: bool) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        match guest.read(&mut buffer)? {
            0 => return Ok(total),
            count => {
                total += count as u64;
                if echo {
                    guest.write(OutputStream::Stdout, &buffer[..count])?;
                }
            }
        }
    }
}

/// In pieces of whole lines, so that memory stays flat.
fn zeros(guest: &mut dyn Guest, count: u64) -> io::Result<()> {
    const CHUNK: usize = 8 << 10;
    let mut left = count;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        guest.write(OutputStream::Stdout, &[0; CHUNK][..most])?;
        left -= most as u64;
    }
    Ok(())
}

fn flood(guest: &mut dyn Guest, stdout: u64, stderr: u64) -> io::Result<()> {
    const LINES: u64 = 4096;
    for (stream, total) in [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)] {
        let (mut written, mut first) = (0, script::FIRST_LINE);
        while written < total {
            let piece = script::lines(first, (total - written).min(LINES * script::LINE_BYTES));
            guest.write(stream, &piece)?;
            written += piece.len() as u64;
            first += LINES;
        }
    }
    Ok(())
}

/// Returns `USER[:GROUP]` as numbers. A user without a group has group 0, as in engines.
fn numeric(user: &str) -> String {
    let number = |text: &str| if text == "root" { "0".to_owned() } else { text.to_owned() };
    match user.split_once(':') {
        Some((user, group)) => format!("{}:{}", number(user), number(group)),
        None => format!("{}:0", number(user)),
    }
}
