//! Commands with an end: each has a process group of its own, a time limit where one is set, and
//! stops when `xtask` is asked to stop. Which commands are run, and what their output means, is not
//! here; how a process is ended is `rt-process`'s.

mod digest;
mod echo;
mod test_counts;

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use rt_process::{Child, ChildStdio, ExitStatus, Output, ProcessError, ProcessSpec, Program, Streams};
use rt_protocol::{Interruption, Sink, Source, Until, UntilError};
use rustix::process::{Pid, Signal, kill_process};

use self::digest::Digest;
use self::echo::Echo;
pub(crate) use self::test_counts::TestCounts;
use crate::failure::{Failure, Result};
use crate::interrupt;

/// How long a group may take over SIGTERM before it gets SIGKILL, unless its task says otherwise.
/// cargo and dpkg need a moment.
const GRACE: Duration = Duration::from_secs(5);

/// A command to be run once.
#[derive(Debug)]
pub(crate) struct Task {
    program: OsString,
    args: Vec<OsString>,
    variables: Vec<(OsString, Option<OsString>)>,
    dir: Option<PathBuf>,
    stdin: Option<File>,
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
        format!("{}: {}", self.status, words.trim())
    }
}

impl Task {
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            variables: Vec::new(),
            dir: None,
            stdin: None,
            limit: None,
            grace: GRACE,
            deaf: false,
            loud: false,
        }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    pub(crate) fn stdin(mut self, file: File) -> Self {
        self.stdin = Some(file);
        self
    }

    /// Sets a variable, or with `None` removes it.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: Option<impl AsRef<OsStr>>) -> Self {
        self.variables.push((name.into(), value.map(|value| value.as_ref().to_owned())));
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

    /// Leaves standard error to the terminal even when the output is caught: for commands that tell
    /// their progress there.
    pub(crate) fn inherit_stderr(mut self) -> Self {
        self.loud = true;
        self
    }

    /// The command as a person would type it, near enough.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// Runs with the terminal of `xtask` for its output. A non-zero exit is the caller's to judge.
    pub(crate) fn visible(self) -> Result<ExitStatus> {
        self.run(Stdio::inherit(), Stdio::inherit())
    }

    /// As [`visible`](Self::visible), with anything but exit code 0 as a failure. Where nobody
    /// watches, the failure has a digest of the output with it; a terminal is left to the command,
    /// with its colours.
    pub(crate) fn run_checked(self) -> Result<()> {
        let line = self.line();
        if std::io::stdout().is_terminal() || std::io::stderr().is_terminal() {
            return judge(&line, self.visible()?);
        }
        self.run_labelled("")
    }

    /// As [`run_checked`](Self::run_checked), a whole line at a time and behind a label: for
    /// commands that run side by side.
    pub(crate) fn run_labelled(self, label: &str) -> Result<()> {
        self.run_counted(label).0
    }

    /// As [`run_labelled`](Self::run_labelled), with what its test harnesses have counted, also
    /// where some failed.
    pub(crate) fn run_counted(self, label: &str) -> (Result<()>, TestCounts) {
        let line = self.line();
        let digest = Mutex::default();
        let outcome = self.echoed(label, &digest);
        let digest = digest.into_inner().unwrap_or_default();
        (Self::judge_labelled(label, &line, outcome, &digest), digest.counts())
    }

    fn judge_labelled(label: &str, line: &str, outcome: Result<ExitStatus>, digest: &Digest) -> Result<()> {
        // Behind the label here too: failures of several commands are told together.
        let lines = || digest.lines().into_iter().map(|line| format!("{label}{line}")).collect();
        let (failure, at) = match outcome.map(|status| judge(line, status)) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => (failure, None),
            Err(cut_off) => (cut_off, digest.at()),
        };
        let at = at.map(|at| format!("; {at}")).unwrap_or_default();
        Err(Failure::new(format!("{label}{failure}{at}")).after(lines()))
    }

    /// Runs with its output caught in unlinked files. Files, because a daemon that a command leaves
    /// behind (conmon) may write for ever, and nobody would read.
    pub(crate) fn captured(self) -> Result<Captured> {
        let catch = || tempfile::tempfile().map_err(|e| Failure::new(format!("cannot make a file: {e}")));
        let (mut stdout, mut stderr) = (catch()?, catch()?);
        let twin = |file: &File| file.try_clone().map_err(|e| Failure::new(format!("cannot dup: {e}")));
        let into_stderr = if self.loud { Stdio::inherit() } else { twin(&stderr)?.into() };
        let status = self.run(twin(&stdout)?.into(), into_stderr)?;
        Ok(Captured { status, stdout: read(&mut stdout)?, stderr: read(&mut stderr)? })
    }

    /// Runs the command in the foreground, for a person, with standard input. Ctrl-C reaches the
    /// command directly, and `xtask` ends when the command ends. For this the command must be in
    /// `xtask`'s own process group, so `rt-process` cannot start it.
    #[allow(clippy::disallowed_methods, reason = "it shares the terminal and the process group")]
    pub(crate) fn interactive(self) -> Result<ExitStatus> {
        self.check_interrupt()?;
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let line = self.line();
        let cannot = |what, error| Failure::new(format!("cannot {what} `{line}`: {error}"));
        let mut child = command.spawn().map_err(|error| cannot("start", error))?;
        let _left = std::io::stdin().is_terminal().then(interrupt::leave_to_child);
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait().map_err(|error| cannot("wait for", error))? {
                let signal = status.signal().map(ExitStatus::Signal);
                return Ok(signal.unwrap_or(ExitStatus::Code(status.code().unwrap_or(1))));
            }
            if !told && interrupt::signal().is_some() {
                let _ = kill_process(Pid::from_child(&child), Signal::TERM);
                told = true;
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Runs with these outputs to its end, or ends it.
    fn run(mut self, stdout: Stdio, stderr: Stdio) -> Result<ExitStatus> {
        self.check_interrupt()?;
        let input = self.stdin.take().map_or_else(Stdio::null, Stdio::from);
        let streams = ChildStdio { stdin: input, stdout, stderr };
        let child = Child::spawn(&self.spec()?, streams).map_err(|error| self.failure(&error))?;
        let until = self.until();
        match child.wait(&until) {
            Ok(Some(status)) => Ok(status),
            Ok(None) => {
                let _ = child.end(self.grace);
                Err(self.cut_off(&until))
            }
            Err(error) => Err(Failure::new(format!("cannot wait for `{}`: {error}", self.line()))),
        }
    }

    /// Runs with its output passed on line by line.
    fn echoed(mut self, label: &str, digest: &Mutex<Digest>) -> Result<ExitStatus> {
        self.check_interrupt()?;
        let (mut stdout, mut stderr) = (Echo::to_stdout(label, digest), Echo::to_stderr(label, digest));
        let streams = Streams {
            stdin: self.stdin.take().map_or_else(Source::empty, Source::descriptor),
            stdout: Output::Bridge(Sink::borrowed(&mut stdout)),
            stderr: Output::Bridge(Sink::borrowed(&mut stderr)),
        };
        let until = self.until();
        let driven = rt_process::with_process(&self.spec()?, streams, |process| {
            let driven = process.drive(&until);
            if driven.is_err() {
                process.end(self.grace);
            }
            (driven, process.finish().status)
        });
        match driven.map_err(|error| self.failure(&error))? {
            (Ok(()), Some(status)) => Ok(status),
            (Err(Interruption::Stopped(_)), _) => Err(self.cut_off(&until)),
            (other, _) => Err(Failure::new(format!("cannot wait for `{}`: {other:?}", self.line()))),
        }
    }

    fn spec(&self) -> Result<ProcessSpec> {
        let program = Program::find(&self.program).map_err(|error| self.failure(&error))?;
        let mut spec = ProcessSpec::new(&program).args(self.args.iter().cloned());
        for (name, value) in &self.variables {
            spec = match value {
                Some(value) => spec.env(name, value),
                None => spec.env_remove(name),
            };
        }
        Ok(self.dir.iter().fold(spec, ProcessSpec::current_dir))
    }

    fn until(&self) -> Until {
        let until = self.limit.map_or_else(Until::forever, Until::after);
        if self.deaf { until } else { until.or_cancelled(interrupt::token()) }
    }

    fn check_interrupt(&self) -> Result<()> {
        if !self.deaf && interrupt::signal().is_some() { Err(Failure::new("interrupted")) } else { Ok(()) }
    }

    /// Why it was ended.
    fn cut_off(&self, until: &Until) -> Failure {
        let limit = self.limit.unwrap_or_default().as_secs_f32();
        Failure::new(match until.check() {
            Err(UntilError::Cancelled) => "interrupted".to_owned(),
            _ => format!("`{}` did not end within {limit} s", self.line()),
        })
    }

    fn failure(&self, error: &ProcessError) -> Failure {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new(format!("cannot start `{}`: {error}{cause}", self.line()))
    }
}

fn judge(line: &str, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{line}`: {status}"))) }
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
    use std::time::Instant;

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
            let digest = Mutex::default();
            shell(script).echoed("", &digest).unwrap();
            digest.into_inner().unwrap().lines()
        };
        let of_both = last("seq 20; echo why >&2; exit 3");
        assert_eq!(of_both.len(), 21);
        assert!(of_both.contains(&"20".to_owned()) && of_both.contains(&"why".to_owned()), "{of_both:?}");
    }

    #[test]
    fn what_a_harness_counted_is_known_though_it_failed() {
        let script = "echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured'; \
                      echo 'test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured'; exit 101";
        let (outcome, counts) = shell(script).run_counted("");
        assert!(outcome.is_err());
        assert_eq!(counts, TestCounts { passed: 7, failed: 2, ignored: 1 });
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
