//! A started process as an owned value: its ends of the pipes, its exit, and its termination. The
//! owner of the pipes moves the bytes; `process` does that for callers.

pub(crate) mod child_process;
pub(crate) mod exit_status;
pub(crate) mod reaper;
pub(crate) mod stdin_terminal;
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

/// A started process as an owned value, with our ends of its pipes as plain descriptors.
///
/// It borrows nothing and has no thread or timer of its own. So it can be stored, shared between
/// threads, and polled together with other descriptors. The owner of a pipe moves its bytes;
/// [`with_process`](crate::with_process) does that for readers, writers and captures.
///
/// Dropping it closes our ends of its pipes. If the process still runs, it is ended as by
/// [`end`](Self::end) with 2 s of grace, and a warning is logged. If it has exited, it is reaped
/// and nothing is signalled.
///
/// ```
/// use std::io::{Read, Write};
/// use std::process::Stdio;
///
/// use rt_process::{Child, ChildStdio, ExitStatus, ProcessSpec, Program};
/// use rt_protocol::Until;
///
/// let spec = ProcessSpec::new(&Program::find("sh")?).args(["-c", "cat; exit 3"]);
/// let stdio = ChildStdio { stderr: Stdio::null(), ..ChildStdio::piped() };
/// let mut child = Child::spawn(&spec, stdio)?;
/// child.stdin.take().unwrap().write_all(b"hello")?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// assert_eq!(child.wait(&Until::forever())?, Some(ExitStatus::Code(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// Write end of its stdin, if that is a pipe. In blocking mode unless its owner changes that.
    pub stdin: Option<ChildStdin>,
    /// Read end of its stdout, if that is a pipe. In blocking mode unless its owner changes that.
    pub stdout: Option<ChildStdout>,
    /// Read end of its stderr, if that is a pipe. In blocking mode unless its owner changes that.
    pub stderr: Option<ChildStderr>,
    pub(crate) process: Arc<ChildProcess>,
    /// Kept open until the process has opened the file.
    _secret_file: Option<SecretFile>,
}

impl Child {
    /// Starts a process.
    ///
    /// # Errors
    /// The errors of [`with_process`](crate::with_process) that concern the start. The process was
    /// not started.
    pub fn spawn(spec: &ProcessSpec, stdio: ChildStdio) -> Result<Self, ProcessError> {
        let (child, secret_file) = spawn::spawn(spec, stdio)?;
        let process = Arc::new(ChildProcess::new(Pid::from_child(&child)));
        let std::process::Child { stdin, stdout, stderr, .. } = child;
        Ok(Self { stdin, stdout, stderr, process, _secret_file: secret_file })
    }

    /// Returns its process id, which is also that of its process group. After the process was
    /// reaped, another process may have this id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns a descriptor that becomes and stays readable when the process exits. `None` on a
    /// system without pidfds: use [`wait`](Self::wait) there, or call [`try_wait`](Self::try_wait)
    /// from time to time.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.process.pidfd()
    }

    /// Returns its exit status; `None` while it runs. The first call after its exit reaps it.
    ///
    /// # Errors
    /// ECHILD: it has exited and its status is lost, because this program waits for children that
    /// are not its own.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Waits for its exit and returns its exit status; `None` if `until` ends first. Any number of
    /// threads may wait.
    ///
    /// Its output is not read here: a process that writes to a full pipe does not exit.
    ///
    /// # Errors
    /// The errors of [`try_wait`](Self::try_wait). An error of the system if it has no pipe left,
    /// which a cancel token needs.
    pub fn wait(&self, until: &Until) -> io::Result<Option<ExitStatus>> {
        self.process.wait(until)
    }

    /// Ends the process group: TERM, up to `grace`, KILL. Then reaps the process and returns its
    /// exit status.
    ///
    /// The group has ended once neither the leader nor another member is alive; only then is the
    /// rest of `grace` skipped. If the process exited before, it is reaped and what it left behind
    /// is not signalled. Several threads may call this while others wait. No signal is sent after
    /// the process was reaped.
    ///
    /// Returns after at most `grace` and 1 s more. The result is `None` in the rare case that the
    /// process survives KILL for that long (it hangs in the kernel).
    ///
    /// # Errors
    /// The errors of [`try_wait`](Self::try_wait).
    pub fn end(&self, grace: Duration) -> io::Result<Option<ExitStatus>> {
        terminate::end(&self.process, grace, |is_running, timeout| {
            self.process.poll(is_running, timeout, None);
        });
        self.try_wait()
    }

    /// Returns whether it has exited, without reaping it.
    pub(crate) fn has_exited(&self) -> bool {
        self.process.has_exited()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Its remaining output is not read any more, and it must not wait for a reader.
        drop((self.stdin.take(), self.stdout.take(), self.stderr.take()));
        // If its status is lost, it has exited too.
        if !matches!(self.try_wait(), Ok(None)) {
            return;
        }
        tracing::warn!(target: "rt_process", pid = self.pid(), "the handle of a running process is dropped, it is ended");
        if let Ok(None) = self.end(KILL_GRACE) {
            reaper::reap(Arc::clone(&self.process));
        }
    }
}
