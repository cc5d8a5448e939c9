//! Child processes with an end: each has a process group of its own, a time limit where one is set, and
//! stops when `xtask` is asked to stop. Which commands are run, and what their output means, is not here.

mod digest;
mod echo;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Seek as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use self::echo::Echo;
use crate::failure::{Failure, Result};
use crate::interrupt;

/// How long a group may take over SIGTERM before it gets SIGKILL, unless its task says otherwise. cargo and dpkg need a moment.
const GRACE: Duration = Duration::from_secs(5);

/// A command to be run once.
#[derive(Debug)]
pub(crate) struct Task {
    command: Command,
    limit: Option<Duration>,
    grace: Duration,
    deaf: bool,
    loud: bool,
}

/// What a captured command left.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Captured {
    /// Exit code and the last words of standard error, for a failure's text.
    pub(crate) fn complaint(&self) -> String {
        let words = self.stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        format!("{}: {}", describe(self.status), words.trim())
    }
}

impl Task {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, limit: None, grace: GRACE, deaf: false, loud: false }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn stdin(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Sets a variable, or with `None` removes it.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: Option<impl AsRef<OsStr>>) -> Self {
        match value {
            Some(value) => self.command.env(name, value),
            None => self.command.env_remove(name),
        };
        self
    }

    pub(crate) fn envs(mut self, variables: &[(&'static str, Option<OsString>)]) -> Self {
        for (name, value) in variables {
            self = self.env(name, value.as_ref());
        }
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How long it may take over SIGTERM, for commands that have much to clean up.
    pub(crate) fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Runs to its end or its limit even when `xtask` was asked to stop: for cleaning up.
    pub(crate) fn ignore_signals(mut self) -> Self {
        self.deaf = true;
        self
    }

    /// Leaves standard error to the terminal even when the output is caught: for commands that tell their
    /// progress there.
    pub(crate) fn inherit_stderr(mut self) -> Self {
        self.loud = true;
        self
    }

    /// The command as a person would type it, near enough.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    /// Runs with the terminal of `xtask` for its output. A non-zero exit is the caller's to judge.
    pub(crate) fn visible(mut self) -> Result<ExitStatus> {
        self.command.process_group(0);
        let child = self.spawn()?;
        self.finish(child)
    }

    /// As [`visible`](Self::visible), with anything but exit code 0 as a failure. Where nobody watches, the
    /// failure has a digest of the output with it; a terminal is left to the command, with its colours.
    pub(crate) fn run_checked(self) -> Result<()> {
        let line = self.line();
        if std::io::stdout().is_terminal() || std::io::stderr().is_terminal() {
            return judge(&line, self.visible()?);
        }
        self.run_labelled("")
    }

    /// As [`run_checked`](Self::run_checked), a whole line at a time and behind a label: for commands that run side by side.
    pub(crate) fn run_labelled(mut self, label: &str) -> Result<()> {
        let line = self.line();
        let echo = Echo::of(&mut self.command, label)?;
        self.command.process_group(0);
        let child = self.spawn()?;
        echo::release(&mut self.command);
        let outcome = self
            .finish(child)
            .map_err(|failure| (failure, true))
            .and_then(|status| judge(&line, status).map_err(|failure| (failure, false)));
        let digest = echo.digest();
        // Behind the label here too: failures of several commands are told together.
        let lines = digest.lines().into_iter().map(|line| format!("{label}{line}")).collect();
        outcome.map_err(|(failure, was_cut_off)| match digest.at() {
            Some(at) if was_cut_off => Failure::new(format!("{label}{failure}; {at}")).after(lines),
            _ => Failure::new(format!("{label}{failure}")).after(lines),
        })
    }

    /// Runs with its output caught in unlinked files. Files, because a daemon that a command leaves behind
    /// (conmon) may keep a pipe open for ever, and nobody would read its end.
    pub(crate) fn captured(mut self) -> Result<Captured> {
        let catch = || tempfile::tempfile().map_err(|e| Failure::new(format!("cannot make a file: {e}")));
        let (mut stdout, mut stderr) = (catch()?, catch()?);
        let twin = |file: &File| file.try_clone().map_err(|e| Failure::new(format!("cannot dup: {e}")));
        self.command.stdout(twin(&stdout)?).process_group(0);
        if !self.loud {
            self.command.stderr(twin(&stderr)?);
        }
        let child = self.spawn()?;
        let status = self.finish(child)?;
        Ok(Captured { status, stdout: read(&mut stdout)?, stderr: read(&mut stderr)? })
    }

    /// Runs in the foreground, with standard input, for a person: ctrl-c of a terminal reaches the command
    /// itself and ends `xtask` only when the command ends.
    pub(crate) fn interactive(mut self) -> Result<ExitStatus> {
        self.command.stdin(Stdio::inherit());
        let mut child = self.spawn()?;
        let terminal = std::io::stdin().is_terminal();
        let mut told = false;
        loop {
            if let Some(status) = poll(&mut child)? {
                return Ok(status);
            }
            if terminal {
                interrupt::leave_to_child();
            }
            if !told && interrupt::signal().is_some() {
                let _ = kill_process(Pid::from_child(&child), Signal::TERM);
                told = true;
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn spawn(&mut self) -> Result<Child> {
        if !self.deaf && interrupt::signal().is_some() {
            return Err(Failure::new("interrupted"));
        }
        let line = self.line();
        self.command.spawn().map_err(|error| Failure::new(format!("cannot start `{line}`: {error}")))
    }

    fn finish(&self, mut child: Child) -> Result<ExitStatus> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = poll(&mut child)? {
                return Ok(status);
            }
            if !self.deaf && interrupt::signal().is_some() {
                end_group(child, self.grace);
                return Err(Failure::new("interrupted"));
            }
            if let Some(limit) = self.limit.filter(|limit| start.elapsed() >= *limit) {
                end_group(child, self.grace);
                let line = self.line();
                return Err(Failure::new(format!("`{line}` did not end within {} s", limit.as_secs_f32())));
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

fn judge(line: &str, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{line}`: {}", describe(status)))) }
}

/// `exit code 3`, or the signal by its number.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "no exit status".into(),
    }
}

fn poll(child: &mut Child) -> Result<Option<ExitStatus>> {
    child.try_wait().map_err(|error| Failure::new(format!("cannot wait for process {}: {error}", child.id())))
}

/// TERM, a grace period, KILL, to the whole group. The leader stays unreaped until the last signal is sent:
/// until then its number cannot become another group's.
fn end_group(mut child: Child, grace: Duration) {
    let group = Pid::from_child(&child);
    let _ = kill_process_group(group, Signal::TERM);
    let start = Instant::now();
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while start.elapsed() < grace && matches!(waitid(WaitId::Pid(group), look), Ok(None)) {
        sleep(Duration::from_millis(20));
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

fn read(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| Failure::new(format!("cannot read a command's output: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Task {
        Task::new("sh").args(["-c", script])
    }

    #[test]
    fn output_and_status_are_caught() {
        let got = shell("echo out; echo warning >&2; echo why >&2; exit 3").captured().unwrap();
        assert_eq!((got.status.code(), got.stdout.as_str()), (Some(3), "out\n"));
        assert_eq!(got.complaint(), "exit code 3: why");
    }

    #[test]
    fn a_limit_ends_the_whole_group() {
        let start = Instant::now();
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("pid");
        let script = format!("sleep 60 & echo $! >{}; wait", note.display());
        let failure = shell(&script).limit(Duration::from_millis(300)).captured().unwrap_err();
        assert!(failure.to_string().contains("did not end within 0.3 s"), "{failure}");
        assert!(start.elapsed() < Duration::from_secs(4));
        // The orphan is reaped by whoever adopts it; a zombie has no command line any more.
        let pid = std::fs::read_to_string(note).unwrap();
        let line = || std::fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
        // A process that was sent KILL dies when it is next scheduled.
        while !line().is_empty() && start.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
        assert_eq!(line(), b"");
    }

    #[test]
    fn a_daemon_that_keeps_the_output_open_does_not_hold_the_caller() {
        let start = Instant::now();
        let got = shell("sleep 5 & echo $!").captured().unwrap();
        assert!(start.elapsed() < Duration::from_secs(3));
        let pid: i32 = got.stdout.trim().parse().unwrap();
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }

    #[test]
    fn a_limit_names_itself_and_what_it_cut_off() {
        let script = "echo test one ... ok; printf 'test the second ... '; exec sleep 60";
        let failure = shell(script).limit(Duration::from_millis(300)).run_labelled("").unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("did not end within 0.3 s; it was at: the second;"), "{text}");
    }

    #[test]
    fn a_failure_has_the_last_lines_of_both_outputs_with_it() {
        let last = |script: &str| {
            let mut task = shell(script);
            let echo = Echo::of(&mut task.command, "").unwrap();
            let child = task.spawn().unwrap();
            echo::release(&mut task.command);
            task.finish(child).unwrap();
            echo.digest().lines()
        };
        let of_both = last("seq 20; echo why >&2; exit 3");
        assert_eq!(of_both.len(), 21);
        assert!(of_both.contains(&"20".to_owned()) && of_both.contains(&"why".to_owned()), "{of_both:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = Task::new("/nonexistent/tool").args(["x"]).captured().unwrap_err();
        assert!(failure.to_string().starts_with("cannot start `/nonexistent/tool x`"), "{failure}");
    }

    #[test]
    fn variables_are_set_and_removed() {
        let task = shell("echo ${A-none} ${HOME-none}");
        let got = task.envs(&[("A", Some("a".into())), ("HOME", None)]).captured().unwrap();
        assert_eq!(got.stdout, "a none\n");
    }
}
