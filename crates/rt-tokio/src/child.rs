//! A command that runs while the task does other things.

use std::future::poll_fn;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::task::Poll;

use rt_protocol::{
    Error, KillReport, Result, RunningCommand, Signal, StdioResult, TerminalSize, Until, UntilError,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use crate::held_command::HeldCommand;
use crate::runtime_handle::{ClockGuard, SharedHandle};
use crate::until_end::UntilEnd;

const OPERATION: &str = "wait for a command in";

/// A command that runs while the task does other things, from
/// [`AsyncContainer::spawn`](crate::AsyncContainer::spawn): the async twin of [`RunningCommand`].
///
/// **Dropping it ends the command** with everything that it started, on a thread of the runtime.
/// What became of it goes to [`on_orphan`](crate::AsyncRuntimeBuilder::on_orphan).
///
/// On podman's warm path, no thread works while the command runs: its streams are pipes of the
/// kernel, and its end is a descriptor, all driven by tokio. On a backend without
/// [`Capability::Spawn`](rt_protocol::Capability::Spawn) it has a thread of its own. A running
/// command does not count against [`at_once`](crate::AsyncRuntimeBuilder::at_once).
///
/// The rules of [`RunningCommand`] for the streams apply: read both outputs, and drop
/// [`stdin`](Self::stdin) to end it.
#[derive(Debug)]
#[must_use = "dropping it ends the command"]
pub struct Child {
    /// The pipe to its stdin; `None` if that is not piped, or was taken.
    pub stdin: Option<pipe::Sender>,
    /// The pipe from its stdout; `None` if that is not piped, or was taken.
    pub stdout: Option<pipe::Receiver>,
    /// The pipe from its stderr; `None` if that is not piped, or was taken.
    pub stderr: Option<pipe::Receiver>,
    /// Readable when the command may have ended.
    readiness: Option<AsyncFd<OwnedFd>>,
    command: HeldCommand,
    // After the command: dropping the last handle waits until that has ended.
    handle: SharedHandle,
}

impl Child {
    /// Registers the pipes with the runtime of this task.
    ///
    /// # Errors
    /// [`System`](rt_protocol::ErrorKind::System) if there are no descriptors left.
    pub(crate) fn new(mut command: HeldCommand, handle: SharedHandle) -> Result<Self> {
        let container = command.container().clone();
        let taken = command.try_here().map(|command| {
            let stdin = command.stdin.take().map(sender).transpose()?;
            let stdout = command.stdout.take().map(receiver).transpose()?;
            let stderr = command.stderr.take().map(receiver).transpose()?;
            Ok((stdin, stdout, stderr))
        });
        let (stdin, stdout, stderr) =
            taken.unwrap_or(Ok((None, None, None))).map_err(|error: io::Error| {
                Error::out_of_resources("exec in", error.to_string()).in_container(&container)
            })?;
        Ok(Self { stdin, stdout, stderr, readiness: None, command, handle })
    }

    /// Returns the result if the command has ended, and `None` while it runs.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> Result<Option<StdioResult>> {
        self.command.try_here().map_or(Ok(None), RunningCommand::try_wait)
    }

    /// Waits until the command has ended, and returns its result; later calls return it again.
    ///
    /// Closes [`stdin`](Self::stdin) first, unless it was taken. The command runs on if `until`
    /// ends first, or if the future is dropped.
    ///
    /// # Errors
    /// As for [`RunningCommand::wait`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub async fn wait(&mut self, until: impl Into<Until>) -> Result<StdioResult> {
        let mut end = UntilEnd::new(until.into(), &self.handle.shared().deadlines);
        let _clock = ClockGuard::new(self.handle.shared());
        self.stdin = None;
        loop {
            let command = self.command.here().await?;
            if let Some(result) = command.try_wait()? {
                return Ok(result);
            }
            if self.readiness.is_none() {
                self.readiness = Some(self.watch().await?);
                // It may have ended before.
                continue;
            }
            if let Some(stop) = self.readiness_or(&mut end).await? {
                return Err(Error::stopped(stop, OPERATION)
                    .in_container(self.command.container())
                    .with_hint("it still runs: wait again, or kill it"));
            }
            // The descriptor may be readable still, which tokio reports once for a registration.
            self.readiness = None;
        }
    }

    /// Ends the command with everything that it started, as [`RunningCommand::kill`] does. If the
    /// future is dropped, the command is ended all the same.
    ///
    /// # Errors
    /// [`System`](rt_protocol::ErrorKind::System) if there is no thread left.
    pub async fn kill(&mut self) -> Result<KillReport> {
        self.command.lend(RunningCommand::kill).await
    }

    /// Sends a signal to the process group of the command, as [`RunningCommand::signal`] does.
    ///
    /// # Errors
    /// As for that.
    pub async fn signal(&mut self, signal: Signal) -> Result<()> {
        self.command.lend(move |command| command.signal(signal)).await?
    }

    /// Changes the size of the command's terminal, as [`RunningCommand::resize`] does.
    ///
    /// # Errors
    /// As for that.
    pub async fn resize(&mut self, size: TerminalSize) -> Result<()> {
        self.command.lend(move |command| command.resize(size)).await?
    }

    async fn watch(&mut self) -> Result<AsyncFd<OwnedFd>> {
        let readiness = self.command.here().await?.readiness().and_then(registered);
        readiness.map_err(|error| {
            Error::out_of_resources(OPERATION, error.to_string()).in_container(self.command.container())
        })
    }

    /// Returns when the command may have ended, or why `end` came first.
    async fn readiness_or(&mut self, end: &mut UntilEnd) -> Result<Option<UntilError>> {
        let (Some(readiness), threads) = (&self.readiness, &self.command.shared().threads) else {
            return Ok(None);
        };
        let first = poll_fn(|cx| {
            if let Poll::Ready(ready) = readiness.poll_read_ready(cx) {
                return Poll::Ready(ready.map(|_| None));
            }
            end.poll(cx, threads).map(|end| end.map(Some))
        });
        first.await.map_err(|error| {
            Error::out_of_resources(OPERATION, error.to_string()).in_container(self.command.container())
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.command.keep_pipes((self.stdin.take(), self.stdout.take(), self.stderr.take()));
    }
}

fn sender(pipe: PipeWriter) -> io::Result<pipe::Sender> {
    pipe::Sender::from_owned_fd(pipe.into())
}

fn receiver(pipe: PipeReader) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(pipe.into())
}

/// Its successor is unsafe, for types that may show another descriptor each time.
#[allow(deprecated, reason = "sound for an `OwnedFd`, and the successor is unsafe for any type")]
fn registered(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
