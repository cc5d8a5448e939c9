//! A command that runs while the caller does other things.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;

use super::command_control::CommandControl;
use crate::{ContainerName, Error, ErrorKind, KillReport, Result, Signal, StdioResult, TerminalSize, Until};

const OPERATION: &str = "wait for a command in";

/// A command that runs while the caller does other things, from
/// [`ContainerExt::spawn_command`](crate::ContainerExt::spawn_command).
///
/// Dropping it ends the command with everything that it started, and returns when that is done, as
/// after a [`kill`](Self::kill).
///
/// The streams are pipes of the kernel, as those of [`std::process::Child`], and can be taken:
///
/// - Dropping [`stdin`](Self::stdin) is the end of the command's stdin.
/// - An output that is not read fills up after some 64 KiB, and the command waits. Read both, or
///   give a [`Sink`](crate::Sink) for one.
/// - If an output is dropped before its end, the command gets `SIGPIPE`, or is ended and
///   [`wait`](Self::wait) returns [`SinkFailed`](crate::ErrorKind::SinkFailed).
/// - An output that ends says nothing about the command's end: [`wait`](Self::wait) does. It also
///   says whether all of the output was there.
/// - A child that outlives the command can hold an output open: a reader that wants its end waits
///   for the child, if the stream is [`Direct`](crate::StreamEnd::Direct).
///
/// ```
/// use std::io::{BufRead, BufReader};
/// use std::time::Duration;
///
/// use rt_null::{NullRuntime, StdioScript};
/// use rt_protocol::{ContainerExt, ContainerRuntimeExt, ExecRequest, LaunchSpec, SpawnStdio};
///
/// let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
/// # let script = StdioScript::new().write("compiling\nlinking\n").exit(0);
/// # runtime.set_stdio("job", ["make"], script)?;
/// let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit)?;
///
/// let request = ExecRequest::new(["make"])?;
/// let mut make = job.spawn_command(&request, SpawnStdio::new(), limit)?;
/// let stdout = make.stdout.take().expect("it is piped");
/// for line in BufReader::new(stdout).lines() {
///     println!("make: {}", line.expect("a pipe can be read"));
/// }
/// make.wait(limit)?.exit_ok()?;
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the command"]
pub struct RunningCommand {
    /// The pipe to its stdin; `None` if that is not piped, or was taken.
    pub stdin: Option<PipeWriter>,
    /// The pipe from its stdout; `None` if that is not piped, or was taken.
    pub stdout: Option<PipeReader>,
    /// The pipe from its stderr; `None` if that is not piped, or was taken.
    pub stderr: Option<PipeReader>,
    container: ContainerName,
    control: Box<dyn CommandControl>,
    /// Its request asked for a terminal, as far as is known.
    pub(crate) may_resize: bool,
    result: Option<Result<StdioResult>>,
}

impl RunningCommand {
    /// Returns a command without pipes; for backends and tests.
    pub fn new(container: ContainerName, control: Box<dyn CommandControl>) -> Self {
        Self { stdin: None, stdout: None, stderr: None, container, control, may_resize: true, result: None }
    }

    /// Returns the result if the command has ended, and `None` while it runs. Does not wait.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> Result<Option<StdioResult>> {
        if self.result.is_none() {
            self.result = self.control.try_wait();
        }
        self.result.clone().transpose()
    }

    /// Waits until the command has ended, and returns its result; later calls return it again.
    ///
    /// Closes [`stdin`](Self::stdin) first, unless it was taken: a command that waits for more of
    /// it would never end. (The end of stdin does not end a
    /// [terminal](crate::ExecRequestBuilder::terminal).) Outputs that are not read can keep the
    /// command from its end.
    ///
    /// # Errors
    /// - [`TimedOut`](crate::ErrorKind::TimedOut), [`Cancelled`](crate::ErrorKind::Cancelled)
    ///   without a [kill report](Error::kill_report): `until` ended first. **The command runs on**;
    ///   [`kill`](Self::kill) ends it.
    /// - Those of [`Container::exec_stdio`](crate::Container::exec_stdio); after a
    ///   [`kill`](Self::kill) `Cancelled` with the report.
    pub fn wait(&mut self, until: impl Into<Until>) -> Result<StdioResult> {
        let until = until.into();
        self.stdin = None;
        loop {
            if let Some(result) = self.try_wait()? {
                return Ok(result);
            }
            self.control.wait(&until).map_err(|stop| {
                Error::stopped(stop, OPERATION)
                    .in_container(&self.container)
                    .with_hint("it still runs: wait again, or kill it")
            })?;
        }
    }

    /// Ends the command with everything that it started, as a deadline of
    /// [`Container::exec`](crate::Container::exec) does: TERM, [`KILL_GRACE`](crate::KILL_GRACE),
    /// KILL, and a look at what is left.
    ///
    /// If it had ended by itself, the report says [`Gone`](crate::KillOutcome::Gone) only if the
    /// backend knows that nothing of it is left.
    pub fn kill(&mut self) -> KillReport {
        let report = self.control.kill();
        if self.result.is_none() {
            self.result = self.control.try_wait();
        }
        report
    }

    /// Sends a signal to the process group of the command: to the command and what it started,
    /// except for processes that have left the group, such as jobs of an interactive shell. Has no
    /// effect once the command has ended.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without
    /// [`Capability::SendSignal`](crate::Capability::SendSignal), and in containers in which the
    /// backend cannot do it; [engine errors](crate::Container#engine-errors).
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.control.signal(signal).map_err(|error| match error.subject() {
            None => error.in_container(&self.container),
            Some(_) => error,
        })
    }

    /// Changes the size of the command's [terminal](crate::ExecRequestBuilder::terminal). The
    /// terminal's foreground processes get `SIGWINCH`, if it is another size. Has no effect once
    /// the command has ended.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) if the request has no terminal;
    /// [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::Spawn`](crate::Capability::Spawn), and in containers in which the backend
    /// cannot do it; [engine errors](crate::Container#engine-errors).
    pub fn resize(&mut self, size: TerminalSize) -> Result<()> {
        if !self.may_resize {
            let message = "the command has no terminal";
            return Err(Error::new(ErrorKind::InvalidRequest, "resize a terminal in", message)
                .in_container(&self.container)
                .with_hint("ask for a terminal in its request"));
        }
        self.control.resize(size).map_err(|error| match error.subject() {
            None => error.in_container(&self.container),
            Some(_) => error,
        })
    }

    /// Returns a descriptor for poll loops and async runtimes. It is readable when
    /// [`try_wait`](Self::try_wait) may have a result; if that returns `None`, poll it again.
    ///
    /// # Errors
    /// The operating system has no descriptors left.
    pub fn readiness(&mut self) -> io::Result<OwnedFd> {
        self.control.readiness()
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        if self.result.is_none() && self.control.try_wait().is_none() {
            // Nobody is left to hear of survivors; backends write them to their log.
            let _ = self.control.kill();
        }
    }
}
