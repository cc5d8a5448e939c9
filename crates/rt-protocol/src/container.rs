//! The contract of one container.

pub(crate) mod container_ext;
pub(crate) mod copy;
pub(crate) mod key;
pub(crate) mod remove;
pub(crate) mod state;
mod state_error;

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Argv, Capabilities, Capability, ContainerInfo, ContainerKey, ContainerPath, CopyOptions, Error,
    ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Image, LogLine, LogOptions, Pull, PullStream,
    Readiness, Result, StdioResult, Until, UntilError,
};

/// A handle on a container of one runtime.
///
/// Handles are names, not possessions: making one asks nothing, the container may come and go meanwhile, and dropping
/// one ends nothing. Two handles are [equal](#impl-PartialEq-for-dyn+Container) when runtime and name are.
///
/// **Who implements it.** Backends, and wrappers around them. [`key`](Self::key), [`exec`](Self::exec) and
/// [`inspect`](Self::inspect) are required; every other method has a default, which asks the [`inner`](Self::inner) handle
/// of a wrapper and otherwise answers [`Unsupported`](ErrorKind::Unsupported), so that a new method breaks nobody.
///
/// **Wrappers.** A handle in front of another one (an audit, a policy, a cache) names it by [`inner`](Self::inner) and writes
/// the methods that it is about. All others ask the inner handle by themselves, those of later versions too.
/// - *Not so the ways to run a command.* [`exec`](Self::exec) is required; [`exec_stdio`](Self::exec_stdio) and
///   [`login_command`](Self::login_command) of a wrapper are its own, or `Unsupported`. So nothing leads around a wrapper
///   that records or refuses commands.
/// - [`as_any`](Self::as_any) gives nothing away by default: a concrete handle runs commands too.
/// - [`stream_initial_logs`](Self::stream_initial_logs) is made of [`logs`](Self::logs): a wrapper with its own `logs` writes
///   both. What projects `inspect` ([`ContainerExt`](crate::ContainerExt)) always asks the wrapper's own `inspect`.
/// - [`start`](Self::start) runs the main process that the container was made with. Which one that may be is decided where
///   it is made: [`ContainerRuntime::create`](crate::ContainerRuntime::create).
///
/// **What must hold.**
/// - Absent, present, and could-not-ask are three answers. An engine that fails or hangs is never an absent container.
/// - No field of a request is ignored: what [`ExecRequest::required_capabilities`] names and the backend lacks is refused before
///   anything starts.
/// - A command that is ended (deadline, cancel, a failing stream) is ended where it runs, not only here, and the error
///   says what became of it.
/// - Nothing is left behind when a call returns: no process, no thread, no descriptor. The one exception is a thread
///   inside a caller's own blocking `read` or `write`, see [`Source::reader`](crate::Source::reader).
/// - Methods may be called from any thread, many at once.
/// - Whatever asks the engine takes an [`Until`]. One that has ended already is answered with
///   [`TimedOut`](ErrorKind::TimedOut) or [`Cancelled`](ErrorKind::Cancelled), and nothing is started. Without a deadline in
///   it, a read takes the runtime's own limit ([`TimeLimits`](crate::TimeLimits)).
pub trait Container: fmt::Debug + Send + Sync {
    /// Which container of which runtime.
    fn key(&self) -> &ContainerKey;

    /// The handle that this one wraps; `None` for a backend's own. It is for the defaults of this trait: a program that calls
    /// it steps around the wrapper knowingly.
    fn inner(&self) -> Option<&dyn Container> {
        None
    }

    /// Runs a command to its end and captures its output. Its stdin is empty.
    ///
    /// Output is bytes, complete unless the request limits it. A non-zero exit is data.
    ///
    /// # Errors
    /// - The container: [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`NotRunning`](ErrorKind::NotRunning).
    /// - The command did not run: [`CommandNotFound`](ErrorKind::CommandNotFound),
    ///   [`CommandNotExecutable`](ErrorKind::CommandNotExecutable), [`BadWorkdir`](ErrorKind::BadWorkdir),
    ///   [`UnknownUser`](ErrorKind::UnknownUser), [`Unsupported`](ErrorKind::Unsupported).
    /// - The caller ended it: [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled), with the kill
    ///   report and the partial output.
    /// - The engine: [`BackendMissing`](ErrorKind::BackendMissing),
    ///   [`BackendNotExecutable`](ErrorKind::BackendNotExecutable), [`BackendFailed`](ErrorKind::BackendFailed),
    ///   [`Unreachable`](ErrorKind::Unreachable).
    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult>;

    /// What the engine knows of the container, from one question. `Ok(None)` is absent.
    ///
    /// # Errors
    /// When the engine could not be asked; [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled).
    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>>;

    /// Runs a command with its streams bridged: bytes are handed on as they come, in both directions at once, and the
    /// ends of the streams with them.
    ///
    /// # Errors
    /// As for [`exec`](Self::exec); [`InvalidRequest`](ErrorKind::InvalidRequest) for a request with an output limit
    /// ([`ExecRequest::check_bridged`]); and [`SourceFailed`](ErrorKind::SourceFailed) or
    /// [`SinkFailed`](ErrorKind::SinkFailed) when a stream of the caller failed and the command was ended for it.
    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        let _ = (request, stdio, until);
        unsupported(self.key(), "exec in", Capability::ExecStdio)
    }

    /// A handle on its image; `None` when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Self::inspect); [`Unsupported`](ErrorKind::Unsupported) unless the backend has images.
    fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>> {
        match self.inner() {
            Some(inner) => inner.image(until),
            None => unsupported(self.key(), "find the image of", Capability::Images),
        }
    }

    /// The size of its writable layer in bytes; `None` when absent.
    ///
    /// # Errors
    /// When the engine could not be asked; [`Unsupported`](ErrorKind::Unsupported) unless the backend has it.
    fn rw_size(&self, until: &Until) -> Result<Option<u64>> {
        match self.inner() {
            Some(inner) => inner.rw_size(until),
            None => unsupported(self.key(), "measure", Capability::RwSize),
        }
    }

    /// Starts it. Starting one that runs is no error.
    ///
    /// Without a deadline in `until`, the runtime's own limit applies ([`TimeLimits::start`](crate::TimeLimits::start)).
    ///
    /// # Errors
    /// [`NoSuchContainer`](ErrorKind::NoSuchContainer), and what the engine says of a launch that fails: its command,
    /// user, workdir, ports or GPU configuration ([`GpuConfig`](ErrorKind::GpuConfig)).
    fn start(&self, until: &Until) -> Result<()> {
        match self.inner() {
            Some(inner) => inner.start(until),
            None => unsupported(self.key(), "start", Capability::Start),
        }
    }

    /// Stops it: TERM, `grace` (rounded up to whole seconds; zero is allowed), KILL. Stopping one that does not run is
    /// no error.
    ///
    /// # Errors
    /// [`NoSuchContainer`](ErrorKind::NoSuchContainer); an error when it is still running long after the grace period.
    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        match self.inner() {
            Some(inner) => inner.stop(grace, until),
            None => unsupported(self.key(), "stop", Capability::Stop),
        }
    }

    /// Waits until its main process has ended, and says how.
    ///
    /// # Errors
    /// [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`NotRunning`](ErrorKind::NotRunning) for one that was never
    /// started, [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled). A container that is removed meanwhile answers its code when that can still
    /// be had, and [`ExitOutcome::Lost`] otherwise.
    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        match self.inner() {
            Some(inner) => inner.wait(until),
            None => unsupported(self.key(), "wait for", Capability::Wait),
        }
    }

    /// Copies a file or directory of the host into the container, running or not.
    ///
    /// A directory is copied by its contents: what is at `dest` stays and is added to. A file goes to `dest` itself, or
    /// into it when that is a directory. Names are taken to the letter, and never as patterns. Of a directory, a backend may
    /// leave out what is no file, directory or symbolic link; its documentation says what.
    ///
    /// # Errors
    /// [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`NoSuchPath`](ErrorKind::NoSuchPath),
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) for a path that the backend cannot be told and a source that it cannot
    /// copy, [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled).
    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        match self.inner() {
            Some(inner) => inner.copy_in(src, dest, options, until),
            None => unsupported(self.key(), "copy into", Capability::CopyIn),
        }
    }

    /// Copies a file or directory of the container to the host, running or not; contents first, as for
    /// [`copy_in`](Self::copy_in).
    ///
    /// # Errors
    /// As for [`copy_in`](Self::copy_in).
    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        match self.inner() {
            Some(inner) => inner.copy_out(src, dest, options, until),
            None => unsupported(self.key(), "copy out of", Capability::CopyOut),
        }
    }

    /// Unpacks a tar stream into a directory of the container; what is in the directory stays and is added to.
    ///
    /// A `read` of the caller's that blocks delays the return.
    ///
    /// # Errors
    /// As for [`copy_in`](Self::copy_in), and [`SourceFailed`](ErrorKind::SourceFailed).
    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        match self.inner() {
            Some(inner) => inner.copy_in_tar(tar, dest, until),
            None => unsupported(self.key(), "copy into", Capability::CopyTar),
        }
    }

    /// Packs a file, or the contents of a directory, of the container into a tar stream: the names in it begin below the
    /// directory, so that [`copy_in_tar`](Self::copy_in_tar) puts the contents where it is told to.
    ///
    /// A `write` of the caller's that blocks delays the return.
    ///
    /// # Errors
    /// As for [`copy_in`](Self::copy_in), and [`SinkFailed`](ErrorKind::SinkFailed).
    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        match self.inner() {
            Some(inner) => inner.copy_out_tar(src, tar, until),
            None => unsupported(self.key(), "copy out of", Capability::CopyTar),
        }
    }

    /// The argv of an interactive session in the container, for `execvp`; `None` is the backend's default command.
    /// Nothing is started in the container. A wrapper does not inherit it: it is a way to run a command.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) unless the backend has sessions.
    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        let _ = (command, until);
        unsupported(self.key(), "log in to", Capability::LoginCommand)
    }

    /// Its log. `until` bounds the opening; each pull has its own.
    ///
    /// # Errors
    /// When the log could not be opened. That the container is absent may show only at the end of the stream.
    fn logs(&self, options: &LogOptions, until: &Until) -> Result<Box<dyn PullStream<LogLine>>> {
        match self.inner() {
            Some(inner) => inner.logs(options, until),
            None => unsupported(self.key(), "read the log of", Capability::Logs),
        }
    }

    /// Follows the log from its beginning, writes each line and a newline to `echo`, and ends at the first line that
    /// `ready` accepts. Lines are whole, never parts of one and never several joined.
    ///
    /// A panic of `ready` passes through; nothing is left behind.
    ///
    /// # Errors
    /// As for [`logs`](Self::logs) and its stream; [`SinkFailed`](ErrorKind::SinkFailed) when `echo` fails;
    /// [`Cancelled`](ErrorKind::Cancelled). A deadline is an answer, not an error.
    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        until: &Until,
    ) -> Result<Readiness> {
        if let Some(inner) = self.inner() {
            return inner.stream_initial_logs(ready, echo, until);
        }
        let mut stream = match self.logs(&LogOptions::new().follow(), until) {
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(Readiness::TimedOut),
            opened => opened?,
        };
        let readiness = wait_for_line(stream.as_mut(), ready, echo, until)
            .map_err(|error| error.in_container(&self.key().name));
        // The caller's answer stands whether or not closing succeeds; `Drop` has the log line.
        drop(stream);
        readiness
    }

    /// The concrete handle, for a caller that knows its backend. The default gives nothing away, not the inner handle either.
    fn as_any(&self) -> &dyn Any {
        &()
    }
}

/// The answer of a method that a backend does not serve.
fn unsupported<T>(key: &ContainerKey, operation: &'static str, capability: Capability) -> Result<T> {
    Err(Error::unsupported(operation, Capabilities::none().with(capability)).in_container(&key.name))
}

fn wait_for_line(
    stream: &mut dyn PullStream<LogLine>,
    ready: &mut dyn FnMut(&str) -> bool,
    echo: &mut dyn Write,
    until: &Until,
) -> Result<Readiness> {
    loop {
        match stream.pull(until)? {
            Pull::Item(line) => {
                echo_line(&line, echo)?;
                let text = line.text();
                if ready(&text) {
                    return Ok(Readiness::Ready(text.into_owned()));
                }
            }
            Pull::Pending => match until.check() {
                Err(UntilError::Cancelled) => {
                    return Err(Error::stopped(UntilError::Cancelled, "watch the log of"));
                }
                Err(UntilError::DeadlineExceeded) => return Ok(Readiness::TimedOut),
                Ok(()) => {}
            },
            Pull::End => return Ok(Readiness::Ended),
        }
    }
}

fn echo_line(line: &LogLine, echo: &mut dyn Write) -> Result<()> {
    let mut text = line.text().into_owned();
    text.push('\n');
    echo.write_all(text.as_bytes())
        .and_then(|()| echo.flush())
        .map_err(|cause| Error::new(ErrorKind::SinkFailed, "echo the log of", "").with_source(cause))
}

impl PartialEq for dyn Container + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for dyn Container + '_ {}

impl Hash for dyn Container + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
