//! The process that stays with a command of `podman exec`, as conmon does. It starts the command,
//! copies its output, records its end, and cleans up. It is not a child of the client, and
//! continues when the client is killed. Others find it by its command line, which looks like
//! conmon's.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, setsid, waitpid};

use crate::answer::Answer;
use crate::container::Container;
use crate::event;
use crate::spawn::failure_file;
use crate::spawn::{self, StartResult};
use crate::store::Store;
use crate::supervisor::end_of;

/// How long after the command's end podman's clean-up process takes its record away.
const CLEAN_UP: Duration = Duration::from_millis(50);

/// The words of `@conmon` and `@session`: conmon's, and by how much the command is started later.
pub(crate) fn words(id: &str, session: &str, directory: &Path, slow: Duration) -> [String; 10] {
    let pid_file = directory.join("exec_pid");
    let [directory, pid_file] = [directory, &pid_file].map(|path| path.to_string_lossy().into_owned());
    let slow = slow.as_millis().to_string();
    ["-c", id, "-u", session, "-b", &directory, "-p", &pid_file, "--slow", &slow].map(str::to_owned)
}

/// `@conmon WORDS`: starts `@session WORDS` and leaves, so that the session is nobody's child.
pub(crate) fn detach(words: &[String]) -> ExitCode {
    let begun = spawn::own("@session", []).and_then(|mut session| {
        let inherit = Stdio::inherit;
        session.args(words).stdin(inherit()).stdout(inherit()).stderr(inherit()).spawn()
    });
    std::thread::sleep(slow(words) / 2);
    if begun.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `@session WORDS`
pub(crate) fn run(words: &[String]) -> ExitCode {
    let [_, id, _, session, ..] = words else { return ExitCode::FAILURE };
    std::thread::sleep(slow(words));
    match attend(id, session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn slow(words: &[String]) -> Duration {
    words.last().and_then(|word| word.parse().ok()).map(Duration::from_millis).unwrap_or_default()
}

/// The whole of it. The client hears of the end by that of the streams, and takes the code from the
/// store.
fn attend(id: &str, session: &str) -> Result<(), Answer> {
    let store = Store::from_environment()?;
    let code = Session::begin(id, session).and_then(Session::watch).unwrap_or_else(|refusal| {
        eprint!("{}", refusal.stderr);
        refusal.code
    });
    store.save_exit_code(session, code.into())?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    std::thread::sleep(CLEAN_UP);
    let directory = store.static_dir(id).join(session);
    if !directory.exists() {
        return Ok(());
    }
    let _lock = store.lock()?;
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

struct Session {
    store: Store,
    container: Container,
    directory: PathBuf,
    pid: Pid,
    /// Set when the command has ended while its start was watched.
    ended: Option<i32>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl Session {
    fn begin(id: &str, session: &str) -> Result<Self, Answer> {
        let store = Store::from_environment()?;
        let container = store
            .container(&store.lock()?, id)?
            .ok_or_else(|| Answer::own("the container has gone before its command"))?;
        setsid()?;
        // The command's parent goes at once, so that nobody takes this process for one of the
        // command's.
        set_child_subreaper(Some(getpid()))?;
        let directory = store.static_dir(id).join(session);
        let (process, pid_file) = (directory.join("exec-process-1"), directory.join("exec_pid"));
        let words = [
            process.to_string_lossy().into_owned(),
            container.state.pid.to_string(),
            pid_file.to_string_lossy().into_owned(),
        ];
        let mut join = spawn::own("@join", [words[0].as_str(), &words[1], &words[2]])?
            .stdin(Stdio::inherit())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if !join.wait()?.success() {
            let why = fs::read_to_string(failure_file(&process)).unwrap_or_default();
            return Err(Answer::own(format!("the command did not begin: {why}")));
        }
        let pid = read_pid(&pid_file)?;
        let ended = match spawn::wait_for_command(pid, &process)? {
            StartResult::Command => None,
            StartResult::Ended(status) => Some(spawn::exit_code(status)),
            StartResult::Failed(why) => return Err(Answer::own(format!("the command did not begin: {why}"))),
        };
        event::record(&store, &store.lock()?, &container, "exec", None)?;
        Ok(Self {
            store,
            container,
            directory,
            pid,
            ended,
            stdout: join.stdout.take(),
            stderr: join.stderr.take(),
        })
    }

    /// Moves output until the command has ended. A child of it that holds the streams holds nobody:
    /// its later output is lost.
    fn watch(mut self) -> Result<u8, Answer> {
        let code = match self.ended {
            Some(code) => code,
            None => self.wait()?,
        };
        while self.pass_on(Some(&Timespec { tv_sec: 0, tv_nsec: 0 }), None)? {}
        self.write_exit_file(code)?;
        event::record(&self.store, &self.store.lock()?, &self.container, "exec_died", Some(code))?;
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }

    /// As conmon writes it, when all output is on its way. Of a record that a removal has taken
    /// away nothing is left.
    fn write_exit_file(&self, code: i32) -> Result<(), Answer> {
        let file = self.directory.join("exit").join(&self.container.id);
        let fresh = file.with_extension("new");
        match fs::write(&fresh, code.to_string()).and_then(|()| fs::rename(&fresh, &file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn wait(&mut self) -> Result<i32, Answer> {
        let end = end_of(self.pid)?;
        loop {
            if let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG)? {
                return Ok(spawn::exit_code(status));
            }
            self.pass_on(None, Some(&end))?;
        }
    }

    /// Waits for output or for the end, and passes on what came; whether anything came.
    fn pass_on(
        &mut self,
        limit: Option<&Timespec>,
        end: Option<&rustix::fd::OwnedFd>,
    ) -> Result<bool, Answer> {
        let mut waits: Vec<_> = Vec::new();
        waits.extend(self.stdout.as_ref().map(|stream| PollFd::new(stream, PollFlags::IN)));
        waits.extend(self.stderr.as_ref().map(|stream| PollFd::new(stream, PollFlags::IN)));
        waits.extend(end.map(|end| PollFd::new(end, PollFlags::IN)));
        if waits.is_empty() {
            return Ok(false);
        }
        poll(&mut waits, limit)?;
        let ready: Vec<bool> = waits.iter().map(|wait| !wait.revents().is_empty()).collect();
        drop(waits);
        let mut ready = ready.into_iter();
        let mut came = false;
        if self.stdout.is_some() && ready.next() == Some(true) {
            step(&mut self.stdout, &mut io::stdout());
            came = true;
        }
        if self.stderr.is_some() && ready.next() == Some(true) {
            step(&mut self.stderr, &mut io::stderr());
            came = true;
        }
        Ok(came)
    }
}

fn read_pid(file: &Path) -> Result<Pid, Answer> {
    let text = fs::read_to_string(file)?;
    text.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(|| Answer::own("the command has no pid"))
}

/// One piece; a client that has gone swallows it.
fn step<R: Read>(stream: &mut Option<R>, to: &mut impl Write) {
    let mut buffer = [0; 8192];
    match stream.as_mut().map(|stream| stream.read(&mut buffer)) {
        Some(Ok(count)) if count > 0 => {
            let _ = to.write_all(&buffer[..count]).and_then(|()| to.flush());
        }
        _ => *stream = None,
    }
}
