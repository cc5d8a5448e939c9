//! A started process that its holder owns: its ends of the pipes, its exit, and its end. Bytes are moved by whoever holds
//! the pipes; who wants them moved drives a `process`.

pub(crate) mod child_process;
pub(crate) mod exit_status;
pub(crate) mod reaper;
pub(crate) mod terminate;

use std::io;
use std::os::fd::BorrowedFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{KILL_GRACE, Until};
use rustix::process::Pid;

use crate::spawn::secret_file::SecretFile;
use crate::{ChildStdio, ExitStatus, ProcessError, ProcessSpec, spawn};
use child_process::ChildProcess;

/// A started process that its holder owns, with our ends of its pipes as plain descriptors.
///
/// Nothing of it is borrowed and nothing runs beside it: no thread, no timer. So it can be stored for as long as it is
/// wanted, shared between threads, and polled together with whatever else its holder polls. Whoever holds a pipe moves its
/// bytes; [`with_process`](crate::with_process) does that for readers, writers and captures.
///
/// When it is dropped, our ends of its pipes are closed. A process that still runs is then ended as by [`end`](Self::end)
/// with 2 s of grace, and a warning is logged; one that has exited is reaped and nothing else is signalled.
///
/// ```
/// use std::io::{Read, Write};
/// use std::process::Stdio;
///
/// use rt_process::{Child, ChildStdio, ExitStatus, ProcessSpec, Program};
/// use rt_protocol::Until;
///
/// let spec = ProcessSpec::new(&Program::find("sh")?).args(["-c", "cat; exit 3"]);
/// let mut child = Child::spawn(&spec, ChildStdio { stderr: Stdio::null(), ..ChildStdio::piped() })?;
/// child.stdin.take().unwrap().write_all(b"hello")?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// assert_eq!(child.wait(&Until::forever())?, Some(ExitStatus::Code(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// To be written: its stdin, where that is a pipe. It blocks, unless its owner makes it not to.
    pub stdin: Option<ChildStdin>,
    /// To be read: its stdout, likewise.
    pub stdout: Option<ChildStdout>,
    /// To be read: its stderr, likewise.
    pub stderr: Option<ChildStderr>,
    pub(crate) process: Arc<ChildProcess>,
    /// Open until the process has opened it.
    _secret_file: Option<SecretFile>,
}

impl Child {
    /// Starts a process.
    ///
    /// # Errors
    /// As for [`with_process`](crate::with_process), as far as they are about the start. Nothing was started then.
    pub fn spawn(spec: &ProcessSpec, stdio: ChildStdio) -> Result<Self, ProcessError> {
        let (child, secret_file) = spawn::spawn(spec, stdio)?;
        let process = Arc::new(ChildProcess::new(Pid::from_child(&child)));
        let std::process::Child { stdin, stdout, stderr, .. } = child;
        Ok(Self { stdin, stdout, stderr, process, _secret_file: secret_file })
    }

    /// Its number, which is also that of its process group. After the process was reaped it may be another's.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A descriptor for a poll set that becomes readable when the process exits, and stays so. `None` on a system without
    /// pidfds: there one has to [`wait`](Self::wait), or to look from time to time.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.process.pidfd()
    }

    /// How it ended; `None` while it runs. It is reaped by the first call that sees its exit.
    ///
    /// # Errors
    /// ECHILD: it has exited and its status is lost, because this program waits for children that are not its own.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Waits until it has exited, and says how; `None` when `until` is over before. Any number of threads may wait.
    ///
    /// What it writes is not read here: a process that meets a full pipe does not exit.
    ///
    /// # Errors
    /// As for [`try_wait`](Self::try_wait), and when the system has no pipe to give, which a cancel needs.
    pub fn wait(&self, until: &Until) -> io::Result<Option<ExitStatus>> {
        self.process.wait(until)
    }

    /// Ends the process group: TERM, up to `grace`, KILL; then reaps, and says how the process ended.
    ///
    /// The group has ended when nobody in it is alive, the leader or others; only then is the rest of `grace` given up. A
    /// process that has exited before is reaped, and what it left behind is not signalled. Any number of threads may do
    /// this, and others may wait meanwhile. No signal is ever sent after the process was reaped.
    ///
    /// Returns after at most `grace` and 1 s more, with `None` in the rare case that the process survives KILL for so long
    /// (it hangs in the kernel).
    ///
    /// # Errors
    /// As for [`try_wait`](Self::try_wait).
    pub fn end(&self, grace: Duration) -> io::Result<Option<ExitStatus>> {
        terminate::end(&self.process, grace, |is_running, timeout| {
            self.process.poll(is_running, timeout, None);
        });
        self.try_wait()
    }

    /// Whether it has exited; it is not reaped.
    pub(crate) fn has_exited(&self) -> bool {
        self.process.has_exited()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nobody reads its last words any more, and it must not wait for a reader.
        drop((self.stdin.take(), self.stdout.take(), self.stderr.take()));
        // Where its status is lost, it is over all the same.
        if !matches!(self.try_wait(), Ok(None)) {
            return;
        }
        tracing::warn!(target: "rt_process", pid = self.pid(), "the handle of a running process is dropped, it is ended");
        if let Ok(None) = self.end(KILL_GRACE) {
            reaper::reap(Arc::clone(&self.process));
        }
    }
}
