//! The contract of one container.

pub(crate) mod container_ext;
pub(crate) mod copy;
pub(crate) mod file;
pub(crate) mod key;
pub(crate) mod owner;
pub(crate) mod remove;
pub(crate) mod state;
mod state_error;
pub(crate) mod stats;

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Argv, Capability, CommandControl, CommandStreams, ContainerInfo, ContainerKey, ContainerPath,
    ContainerStats, CopyOptions, DirEntry, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome,
    FileInfo, FileOptions, Image, LogLine, LogOptions, Pull, PullStream, Readiness, Result, Signal,
    StdioResult, Until, UntilError, file_operation,
};

/// A handle on a container of one runtime.
///
/// A handle refers to a container by name; it does not own it. Creating one performs no I/O, and
/// dropping it has no effect. The container need not exist, and may be created or removed
/// meanwhile. Two handles are [equal](#impl-PartialEq-for-dyn+Container) if their runtimes and
/// names are.
///
/// # Implementations
///
/// Backends implement this trait, and so do wrappers around them. [`key`](Self::key),
/// [`exec`](Self::exec) and [`inspect`](Self::inspect) are required. Every other method has a
/// default: it calls the [`inner`](Self::inner) handle of a wrapper, and otherwise returns
/// [`Unsupported`](ErrorKind::Unsupported). So a new method does not break existing
/// implementations.
///
/// # Wrappers
///
/// A wrapper stands in front of another handle: an audit, a policy, a cache. It returns that handle
/// from [`inner`](Self::inner), and implements the methods that it changes. All other methods call
/// the inner handle, also those of later versions, with these exceptions:
///
/// - Ways to run a command are never inherited. [`exec`](Self::exec) is required.
///   [`exec_stdio`](Self::exec_stdio), [`spawn`](Self::spawn) and
///   [`login_command`](Self::login_command) return `Unsupported` unless the wrapper implements
///   them. So no call bypasses a wrapper that records
///   or rejects commands.
/// - [`as_any`](Self::as_any) does not expose the inner handle by default, since a concrete handle
///   runs commands too.
/// - [`stream_initial_logs`](Self::stream_initial_logs) reads the inner handle's log. A wrapper
///   with its own [`logs`](Self::logs) implements both.
/// - [`ContainerExt`](crate::ContainerExt) always calls the wrapper's own
///   [`inspect`](Self::inspect).
/// - [`start`](Self::start) is inherited, and runs the main process of the container. To control
///   which one that is, implement [`ContainerRuntime::create`](crate::ContainerRuntime::create).
///
/// # Guarantees
///
/// - Present, absent and "could not be determined" are three different results. An engine that
///   fails or hangs is never reported as an absent container.
/// - No field of a request is ignored. A backend that lacks one of the
///   [`ExecRequest::required_capabilities`] rejects the request before anything starts.
/// - A command that has to be ended (deadline, cancellation, a failing stream) is killed where it
///   runs. The error says whether any of its processes survived.
/// - Nothing is left behind when a call returns: no process, thread, descriptor or session of the
///   engine. Exceptions are what the runtime keeps by its documented limits, such as agents and
///   connections, and a thread inside a blocking `read` or `write` of the caller, see
///   [`Source::reader`](crate::Source::reader). What a runtime keeps ends when it and its handles
///   are dropped, and when the program ends, however it does. Backends that keep something have a
///   method that ends it at once, such as `cool_down` of `rt-podman`.
/// - All methods may be called from any thread, and concurrently.
/// - Every method that calls the engine takes an [`Until`]. If that has already ended, the method
///   returns [`TimedOut`](ErrorKind::TimedOut) or [`Cancelled`](ErrorKind::Cancelled) and starts
///   nothing. A read without a deadline has the limit of its runtime
///   ([`TimeLimits`](crate::TimeLimits)).
///
/// # Engine errors
///
/// Every method that calls the engine can return these errors; each method lists its others.
///
/// - [`BackendMissing`](ErrorKind::BackendMissing),
///   [`BackendNotExecutable`](ErrorKind::BackendNotExecutable): the engine's program cannot be
///   started.
/// - [`BackendUnresponsive`](ErrorKind::BackendUnresponsive): it did not answer within the limit of
///   the runtime.
/// - [`BackendInterrupted`](ErrorKind::BackendInterrupted),
///   [`BackendFailed`](ErrorKind::BackendFailed), [`InvalidResponse`](ErrorKind::InvalidResponse):
///   it was killed, it failed, or its answer cannot be read.
/// - [`Unreachable`](ErrorKind::Unreachable), [`HostKeyMismatch`](ErrorKind::HostKeyMismatch),
///   [`BadIdentity`](ErrorKind::BadIdentity),
///   [`AuthenticationRefused`](ErrorKind::AuthenticationRefused): no connection to a guest; only
///   for commands, on backends that connect to guests.
/// - [`System`](ErrorKind::System): the operating system refused a pipe, a thread or a process.
/// - [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled): the `until` of the
///   call ended first.
pub trait Container: fmt::Debug + Send + Sync {
    /// Returns the runtime and the name of the container.
    fn key(&self) -> &ContainerKey;

    /// Returns the handle that this one wraps; `None` for a backend's own handle.
    ///
    /// Only the defaults of this trait call it. A program that calls it deliberately bypasses the
    /// wrapper.
    fn inner(&self) -> Option<&dyn Container> {
        None
    }

    /// Runs a command to its end and returns its output. Its stdin is empty.
    ///
    /// The output is bytes, and complete unless the request limits it. A non-zero exit code is a
    /// result, not an error; [`exit_ok`](ExecResult::exit_ok) makes it one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// let request = ExecRequest::builder(["make", "test"])
    ///     .workdir("/src")
    ///     .env("CI", "1")
    ///     .secret_env("TOKEN", "hunter2")
    ///     .build()?;
    /// let result = job.exec(&request, &Until::after(Duration::from_secs(300)))?;
    /// println!("{}: {}", result.outcome, result.stdout);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - The container: [`NoSuchContainer`](ErrorKind::NoSuchContainer),
    ///   [`NotRunning`](ErrorKind::NotRunning), [`Paused`](ErrorKind::Paused),
    ///   [`Stopping`](ErrorKind::Stopping).
    /// - The command did not run: [`CommandNotFound`](ErrorKind::CommandNotFound),
    ///   [`CommandNotExecutable`](ErrorKind::CommandNotExecutable),
    ///   [`BadWorkdir`](ErrorKind::BadWorkdir), [`UnknownUser`](ErrorKind::UnknownUser),
    ///   [`Unsupported`](ErrorKind::Unsupported).
    /// - The caller ended it: [`TimedOut`](ErrorKind::TimedOut) or
    ///   [`Cancelled`](ErrorKind::Cancelled), with the [kill report](Error::kill_report) and the
    ///   [partial output](Error::partial).
    /// - [Engine errors](Container#engine-errors).
    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult>;

    /// Returns what the engine knows about the container, from one request; `None` if it does not
    /// exist.
    ///
    /// [`ContainerExt`](crate::ContainerExt) has a shortcut for each single fact.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// match job.inspect(&until)? {
    ///     Some(info) => println!("{} is {}", info.name, info.state),
    ///     None => println!("there is no such container"),
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors).
    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>>;

    /// Runs a command with its streams connected to the caller's.
    ///
    /// Bytes are passed on as they arrive, in both directions at once, and so is the end of each
    /// stream. An [output limit](crate::ExecRequestBuilder::output_limit) of the request also
    /// applies to the sinks. Backends make the call in [`ExecStdio::bridge`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::{NullRuntime, StdioScript};
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let script = StdioScript::new().read("b\na\n").read_end().write("a\nb\n").exit(0);
    /// # runtime.set_stdio("job", ["sort"], script)?;
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// let mut sorted = Vec::new();
    /// let stdio = ExecStdio::new(Source::bytes("b\na\n"), Sink::borrowed(&mut sorted));
    /// job.exec_stdio(&ExecRequest::new(["sort"])?, stdio, &until)?.exit_ok()?;
    /// assert_eq!(sorted, b"a\nb\n");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - As for [`exec`](Self::exec).
    /// - [`InvalidRequest`](ErrorKind::InvalidRequest) for a descriptor that is a message-oriented
    ///   socket.
    /// - [`SourceFailed`](ErrorKind::SourceFailed), [`SinkFailed`](ErrorKind::SinkFailed): a stream
    ///   of the caller failed, and the command was ended. The error has a kill report.
    /// - [`Unsupported`](ErrorKind::Unsupported) without [`Capability::ExecStdio`].
    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        let _ = (request, stdio, until);
        Err(unsupported(self.key(), "exec in", Capability::ExecStdio))
    }

    /// Starts a command, and returns while it runs. For backends: programs call
    /// [`ContainerExt::spawn_command`](crate::ContainerExt::spawn_command), which also works where
    /// this method does not.
    ///
    /// `until` limits the start alone. A backend gives the command its
    /// [`pipes`](CommandStreams::pipes), or [takes](CommandStreams::take) the streams and serves
    /// them, such as by a [`BackgroundCommand`](crate::BackgroundCommand). If it has no such way,
    /// it leaves them.
    ///
    /// # Errors
    /// As for [`exec_stdio`](Self::exec_stdio), here or by the command;
    /// [`Unsupported`](ErrorKind::Unsupported) that [misses](Error::missing)
    /// [`Capability::Spawn`] if this container has no such way.
    fn spawn(
        &self,
        request: &ExecRequest,
        streams: &mut CommandStreams,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        let _ = (request, streams, until);
        Err(unsupported(self.key(), "exec in", Capability::Spawn))
    }

    /// Returns a handle on the container's image; `None` if the container does not exist.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// if let Some(image) = job.image(&until)? {
    ///     println!("{}", image.reference());
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::Images`].
    fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>> {
        inner_for(self, "find the image of", Capability::Images)?.image(until)
    }

    /// Returns the size of the container's writable layer in bytes; `None` if it does not exist.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_rw_size("job", 4096)?;
    /// assert_eq!(job.rw_size(&until)?, Some(4096));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::RwSize`].
    fn rw_size(&self, until: &Until) -> Result<Option<u64>> {
        inner_for(self, "measure", Capability::RwSize)?.rw_size(until)
    }

    /// Starts the container. Has no effect if it is running.
    ///
    /// If `until` has no deadline, the limit is that of the runtime
    /// ([`TimeLimits::start`](crate::TimeLimits::start)).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// let job = runtime.create(&LaunchSpec::builder("job", "alpine").build()?, &until)?;
    /// job.start(&until)?;
    /// assert!(job.running(&until)?);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer).
    /// - Only the start shows them: [`CommandNotFound`](ErrorKind::CommandNotFound),
    ///   [`CommandNotExecutable`](ErrorKind::CommandNotExecutable),
    ///   [`BadWorkdir`](ErrorKind::BadWorkdir), [`UnknownUser`](ErrorKind::UnknownUser),
    ///   [`PortInUse`](ErrorKind::PortInUse), [`GpuConfig`](ErrorKind::GpuConfig).
    /// - [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    ///   [`Capability::Start`].
    fn start(&self, until: &Until) -> Result<()> {
        inner_for(self, "start", Capability::Start)?.start(until)
    }

    /// Stops the container: sends TERM, waits at most `grace`, then sends KILL. Has no effect if it
    /// is not running.
    ///
    /// `grace` is rounded up to whole seconds and may be zero;
    /// [`DEFAULT_STOP_GRACE`](crate::DEFAULT_STOP_GRACE) is a good choice.
    ///
    /// Afterwards its main process has ended, and the state is
    /// [`Exited`](crate::ContainerState::Exited), or [`Stopped`](crate::ContainerState::Stopped)
    /// while the engine still cleans up. It can be started and removed in both.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// job.stop(DEFAULT_STOP_GRACE, &until)?;
    /// assert_eq!(job.state(&until)?, Some(ContainerState::Exited));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer).
    /// - [`BackendFailed`](ErrorKind::BackendFailed) if it still runs long after the grace period.
    /// - [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    ///   [`Capability::Stop`].
    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        inner_for(self, "stop", Capability::Stop)?.stop(grace, until)
    }

    /// Waits until the main process of the container has ended, and returns how it ended.
    ///
    /// If the container is removed meanwhile, the result is its exit code if that can still be
    /// determined, and otherwise [`ExitOutcome::Lost`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.end("job", 3)?;
    /// assert_eq!(job.wait(&until)?, ExitOutcome::Code(3));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer).
    /// - [`NotRunning`](ErrorKind::NotRunning) if it was never started.
    /// - [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    ///   [`Capability::Wait`].
    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        inner_for(self, "wait for", Capability::Wait)?.wait(until)
    }

    /// Returns what the container uses now: CPU time, memory and processes.
    ///
    /// A microVM is measured as a whole, from outside.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_stats("job", ContainerStats::new(Duration::from_secs(2), 3 << 20, 4))?;
    /// let stats = job.stats(&until)?;
    /// assert_eq!(stats.cpu_time.as_secs(), 2);
    /// assert_eq!((stats.memory, stats.processes), (3 << 20, 4));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`NotRunning`](ErrorKind::NotRunning).
    /// - [Engine errors](Container#engine-errors).
    /// - [`Unsupported`](ErrorKind::Unsupported) without [`Capability::Stats`], or if the engine
    ///   does not account for this container.
    fn stats(&self, until: &Until) -> Result<ContainerStats> {
        inner_for(self, "measure the use of", Capability::Stats)?.stats(until)
    }

    /// Freezes all processes of the container, until [`unpause`](Self::unpause). Has no effect if
    /// it is paused.
    ///
    /// Commands that run stand still too, while their deadlines pass: a command that has to be
    /// ended may be [`Alive`](crate::KillOutcome::Alive) until the container is unpaused. New ones
    /// are rejected with [`Paused`](ErrorKind::Paused).
    ///
    /// If `until` has no deadline, the limit is that of the runtime
    /// ([`TimeLimits::start`](crate::TimeLimits::start)); this also holds for `unpause` and
    /// [`kill`](Self::kill).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// job.pause(&until)?;
    /// assert_eq!(job.state(&until)?, Some(ContainerState::Paused));
    /// job.unpause(&until)?;
    /// assert!(job.running(&until)?);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`NotRunning`](ErrorKind::NotRunning),
    ///   [`Stopping`](ErrorKind::Stopping).
    /// - [Engine errors](Container#engine-errors). After one of them, the container may be paused
    ///   or not; both methods can be called again.
    /// - [`Unsupported`](ErrorKind::Unsupported) without [`Capability::Pause`], or if the engine
    ///   cannot freeze this container.
    fn pause(&self, until: &Until) -> Result<()> {
        inner_for(self, "pause", Capability::Pause)?.pause(until)
    }

    /// Lets a paused container run on, where it was. Has no effect if it is running.
    ///
    /// # Errors
    /// As for [`pause`](Self::pause), which has an example.
    fn unpause(&self, until: &Until) -> Result<()> {
        inner_for(self, "unpause", Capability::Pause)?.unpause(until)
    }

    /// Sends a signal to the main process of the container.
    ///
    /// It returns when the signal was sent; [`wait`](Self::wait) waits for an end. The kernel drops
    /// signals that process 1 of a container does not handle, except `KILL` and `STOP`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// job.kill(Signal::HUP, &until)?; // many services reload
    /// job.kill(Signal::KILL, &until)?;
    /// assert_eq!(job.wait(&until)?, ExitOutcome::Code(137));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`NotRunning`](ErrorKind::NotRunning),
    ///   [`Paused`](ErrorKind::Paused): unpause it first, or [remove](Self::remove) it.
    /// - [Engine errors](Container#engine-errors). After one of them, the signal may have been
    ///   sent.
    /// - [`Unsupported`](ErrorKind::Unsupported) without [`Capability::Kill`].
    fn kill(&self, signal: Signal, until: &Until) -> Result<()> {
        inner_for(self, "signal", Capability::Kill)?.kill(signal, until)
    }

    /// Removes the container, running or not, with its anonymous volumes. Has no effect if it does
    /// not exist.
    ///
    /// [`ContainerRuntime::force_remove`](crate::ContainerRuntime::force_remove) removes many in
    /// one call.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// job.remove(&until)?;
    /// assert_eq!(job.state(&until)?, None);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of [`ContainerRemoveResult::error`](crate::ContainerRemoveResult::error): the
    /// container, or a process of it, is still there or may be.
    /// [`Unsupported`](ErrorKind::Unsupported) without [`Capability::ForceRemove`].
    fn remove(&self, until: &Until) -> Result<()> {
        inner_for(self, "remove", Capability::ForceRemove)?.remove(until)
    }

    /// Copies a file or directory of the host into the container. The container need not run.
    ///
    /// - The contents of a directory are copied into `dest`. Files that are already there stay.
    /// - A file is copied to `dest`, or into it if `dest` is a directory.
    /// - Paths are literal; `*` and `?` are not expanded.
    /// - Inside a directory, a backend may leave out entries that are not files, directories or
    ///   symbolic links. Its documentation says which.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # let name = format!("rt-copy-in-{}", std::process::id());
    /// # let source = std::env::temp_dir().join(name);
    /// # std::fs::write(&source, "hello").unwrap();
    /// let destination = ContainerPath::new("/etc/motd")?;
    /// job.copy_in(&source, &destination, &CopyOptions::new(), &until)?;
    /// # std::fs::remove_file(&source).unwrap();
    /// # assert_eq!(runtime.file(&job.key().name, &destination).unwrap(), b"hello");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer).
    /// - [`NoSuchPath`](ErrorKind::NoSuchPath): the source, or a parent of the destination, does
    ///   not exist.
    /// - [`InvalidRequest`](ErrorKind::InvalidRequest): the backend cannot express a path, or
    ///   cannot copy such a source.
    /// - [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    ///   [`Capability::CopyIn`].
    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        inner_for(self, "copy into", Capability::CopyIn)?.copy_in(src, dest, options, until)
    }

    /// Copies a file or directory of the container to the host, by the rules of
    /// [`copy_in`](Self::copy_in). The container need not run.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_file("job", "/out/report.txt", "fine")?;
    /// # let name = format!("rt-copy-out-{}", std::process::id());
    /// # let destination = std::env::temp_dir().join(name);
    /// let source = ContainerPath::new("/out/report.txt")?;
    /// job.copy_out(&source, &destination, &CopyOptions::new(), &until)?;
    /// # assert_eq!(std::fs::read(&destination).unwrap(), b"fine");
    /// # std::fs::remove_file(&destination).unwrap();
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`copy_in`](Self::copy_in), but [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::CopyOut`].
    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        inner_for(self, "copy out of", Capability::CopyOut)?.copy_out(src, dest, options, until)
    }

    /// Unpacks a tar stream into a directory of the container. Files that are already there stay.
    ///
    /// A blocking `read` of `tar` delays the return.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_file("job", "/srv/settings.json", "{}")?;
    /// # runtime.set_directory("job", "/restored")?;
    /// let mut backup = Vec::new();
    /// job.copy_out_tar(&ContainerPath::new("/srv")?, &mut backup, &until)?;
    /// job.copy_in_tar(&mut backup.as_slice(), &ContainerPath::new("/restored")?, &until)?;
    /// # let restored = ContainerPath::new("/restored/settings.json")?;
    /// # assert_eq!(runtime.file(&job.key().name, &restored).unwrap(), b"{}");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`copy_in`](Self::copy_in), but [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::CopyTar`]; [`SourceFailed`](ErrorKind::SourceFailed) if reading `tar` fails;
    /// [`NoSuchPath`](ErrorKind::NoSuchPath) if the destination is no directory;
    /// [`BackendFailed`](ErrorKind::BackendFailed) if the stream is no archive.
    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        inner_for(self, "copy into", Capability::CopyTar)?.copy_in_tar(tar, dest, until)
    }

    /// Packs a file, or the contents of a directory, of the container into a tar stream.
    ///
    /// Names in the stream are relative to the directory, so [`copy_in_tar`](Self::copy_in_tar)
    /// unpacks them into any other one. A blocking `write` of `tar` delays the return.
    ///
    /// [`copy_in_tar`](Self::copy_in_tar) has an example.
    ///
    /// # Errors
    /// As for [`copy_in`](Self::copy_in), but [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::CopyTar`]; [`SinkFailed`](ErrorKind::SinkFailed) if writing `tar` fails.
    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        inner_for(self, "copy out of", Capability::CopyTar)?.copy_out_tar(src, tar, until)
    }

    /// Writes a file of the container from memory.
    ///
    /// - The file has these contents afterwards, or there is an error. Nothing is synchronised to a
    ///   disk.
    /// - Without [`atomic`](FileOptions::atomic) a symbolic link at the path is followed, and after
    ///   an error the file may have a part of the contents. Whether it keeps its inode and its hard
    ///   links depends on the backend.
    /// - With it, the contents are written to a new file in the same directory, named `.rt-` and a
    ///   number, which then takes the place of what is at the path: a symbolic link too, but not a
    ///   directory. After an error everything is as before. If the container is killed meanwhile,
    ///   the new file can stay.
    /// - Root of the container writes, with the permissions that it has there. On a backend that
    ///   logs in to a guest, the user of its connection does.
    /// - A path through symbolic links never leaves the container's root.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// let path = ContainerPath::new("/srv/app/settings.json")?;
    /// let options = FileOptions::new().mode(FileMode::new(0o600)?).parents().atomic();
    /// job.write_file(&path, b"{}", &options, &until)?;
    /// assert_eq!(job.read_file(&path, 1 << 20, &until)?, b"{}");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`Paused`](ErrorKind::Paused),
    ///   [`Stopping`](ErrorKind::Stopping); [`NotRunning`](ErrorKind::NotRunning) from backends
    ///   that need a running container.
    /// - [`NoSuchPath`](ErrorKind::NoSuchPath): a parent does not exist.
    ///   [`NotADirectory`](ErrorKind::NotADirectory): a parent is something else.
    /// - [`IsADirectory`](ErrorKind::IsADirectory): a directory is there, or the path can only mean
    ///   one ([`ContainerPath::names_directory`]).
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied),
    ///   [`ReadOnlyFilesystem`](ErrorKind::ReadOnlyFilesystem),
    ///   [`StorageFull`](ErrorKind::StorageFull), [`FileTooLarge`](ErrorKind::FileTooLarge).
    /// - [`InvalidRequest`](ErrorKind::InvalidRequest): a special file is there, the path is too
    ///   long, or the container's user namespace does not have the owner.
    /// - [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    ///   the [`FileOptions::required_capabilities`].
    fn write_file(
        &self,
        path: &ContainerPath,
        bytes: &[u8],
        options: &FileOptions,
        until: &Until,
    ) -> Result<()> {
        inner_for(self, file_operation::WRITE, Capability::WriteFile)?.write_file(path, bytes, options, until)
    }

    /// Reads a regular file of the container into memory: its whole contents, of at most `limit`
    /// bytes. Symbolic links are followed.
    ///
    /// A file that is changed meanwhile is read as it is at each place. One that grows without end
    /// is too large.
    ///
    /// # Errors
    /// - [`FileTooLarge`](ErrorKind::FileTooLarge): it has more than `limit` bytes. The message
    ///   says how many, if that is known. Nothing of it was kept.
    /// - [`NoSuchPath`](ErrorKind::NoSuchPath); [`IsADirectory`](ErrorKind::IsADirectory);
    ///   [`NotADirectory`](ErrorKind::NotADirectory).
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied).
    /// - [`InvalidRequest`](ErrorKind::InvalidRequest): it is a special file, which could have no
    ///   end, or the path is too long.
    /// - The container and the engine, as for [`write_file`](Self::write_file), which has an
    ///   example; [`Unsupported`](ErrorKind::Unsupported) without [`Capability::ReadFile`].
    fn read_file(&self, path: &ContainerPath, limit: u64, until: &Until) -> Result<Vec<u8>> {
        inner_for(self, file_operation::READ, Capability::ReadFile)?.read_file(path, limit, until)
    }

    /// Returns what is at a path; `None` if nothing is. A symbolic link at its end is not followed:
    /// [`FileInfo::link_target`] has its text.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_file("job", "/out/report.txt", "fine")?;
    /// for entry in job.list_dir(&ContainerPath::new("/out")?, &until)? {
    ///     let path = ContainerPath::new("/out")?.join(&entry.name)?;
    ///     if let Some(info) = job.stat(&path, &until)? {
    ///         println!("{} {} {path}", info.mode, info.size);
    ///     }
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`NotADirectory`](ErrorKind::NotADirectory): a parent is something else.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied);
    ///   [`InvalidRequest`](ErrorKind::InvalidRequest) for a path that is too long.
    /// - The container and the engine, as for [`write_file`](Self::write_file);
    ///   [`Unsupported`](ErrorKind::Unsupported) without [`Capability::StatFile`].
    fn stat(&self, path: &ContainerPath, until: &Until) -> Result<Option<FileInfo>> {
        inner_for(self, file_operation::STAT, Capability::StatFile)?.stat(path, until)
    }

    /// Returns the entries of a directory of the container, without `.` and `..`, sorted by name. A
    /// symbolic link to a directory is followed. [`stat`](Self::stat) has an example.
    ///
    /// Entries that come or go meanwhile may be in it or not.
    ///
    /// # Errors
    /// - [`NoSuchPath`](ErrorKind::NoSuchPath); [`NotADirectory`](ErrorKind::NotADirectory).
    /// - [`FileTooLarge`](ErrorKind::FileTooLarge): the listing takes more than 64 MiB.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied);
    ///   [`InvalidRequest`](ErrorKind::InvalidRequest) for a path that is too long.
    /// - The container and the engine, as for [`write_file`](Self::write_file);
    ///   [`Unsupported`](ErrorKind::Unsupported) without [`Capability::ListDir`], or if the
    ///   container has no tool that the backend needs.
    fn list_dir(&self, path: &ContainerPath, until: &Until) -> Result<Vec<DirEntry>> {
        inner_for(self, file_operation::LIST, Capability::ListDir)?.list_dir(path, until)
    }

    /// Removes what is at a path: a file, a symbolic link, which is not followed, or a directory
    /// with all that is in it. Has no effect if nothing is there.
    ///
    /// What is mounted below the path is emptied too, and its mount point stays, with an error.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_file("job", "/out/report.txt", "fine")?;
    /// job.remove_path(&ContainerPath::new("/out")?, &until)?;
    /// assert_eq!(job.stat(&ContainerPath::new("/out/report.txt")?, &until)?, None);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`InvalidRequest`](ErrorKind::InvalidRequest): the path is the root, or ends with `.` or
    ///   `..`, or is too long.
    /// - [`NotADirectory`](ErrorKind::NotADirectory): a parent is something else.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied),
    ///   [`ReadOnlyFilesystem`](ErrorKind::ReadOnlyFilesystem). After these, a part may be removed.
    /// - [`BackendFailed`](ErrorKind::BackendFailed): it is in use, as a mount point is.
    /// - The container and the engine, as for [`write_file`](Self::write_file);
    ///   [`Unsupported`](ErrorKind::Unsupported) without [`Capability::RemovePath`], or if the
    ///   container has no tool that the backend needs.
    fn remove_path(&self, path: &ContainerPath, until: &Until) -> Result<()> {
        inner_for(self, file_operation::REMOVE, Capability::RemovePath)?.remove_path(path, until)
    }

    /// Returns the argv of an interactive session in the container, for `execvp`. Starts nothing in
    /// the container.
    ///
    /// `None` as `command` is the backend's default. A wrapper does not inherit this method, since
    /// it is a way to run a command.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// let argv = job.login_command(Some(&Argv::new(["bash", "-l"])?), &until)?;
    /// println!("run {argv:?} on a terminal");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::LoginCommand`].
    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        let _ = (command, until);
        Err(unsupported(self.key(), "log in to", Capability::LoginCommand))
    }

    /// Opens the log of the container: the lines that its main process has written.
    ///
    /// `until` limits the opening. Each pull of the stream has its own limit.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::{LogScript, NullRuntime};
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_logs("job", LogScript::new().line("listening on 8080"))?;
    /// let mut log = job.logs(&LogOptions::new().tail(100), &until)?;
    /// for line in log.iter(&until) {
    ///     println!("{}", line?.text());
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [Engine errors](Container#engine-errors); [`Unsupported`](ErrorKind::Unsupported) without
    /// [`Capability::Logs`], or if the engine keeps no log of this container.
    /// [`NoSuchContainer`](ErrorKind::NoSuchContainer) may be returned here or by a pull.
    fn logs(&self, options: &LogOptions, until: &Until) -> Result<Box<dyn PullStream<LogLine>>> {
        inner_for(self, "read the log of", Capability::Logs)?.logs(options, until)
    }

    /// Follows the log from its beginning until `ready` accepts a line.
    ///
    /// Each line and a newline are written to `echo`. Lines are always whole.
    /// [`ReadyWhen`](crate::ReadyWhen) waits for more than a log line.
    ///
    /// If `ready` panics, the panic propagates, and nothing is left behind.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::{LogScript, NullRuntime};
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_logs("job", LogScript::new().line("loading").line("ready"))?;
    /// let mut is_ready = |line: &str| line.contains("ready");
    /// let found = job.stream_initial_logs(&mut is_ready, &mut std::io::stderr(), &until)?;
    /// assert_eq!(found, Readiness::Ready("ready".into()));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`logs`](Self::logs) and its stream; [`SinkFailed`](ErrorKind::SinkFailed) if writing
    /// to `echo` fails. A deadline is no error but [`Readiness::TimedOut`].
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
        // The result does not depend on the closing; `Drop` logs a failure.
        drop(stream);
        readiness
    }

    /// Returns the concrete handle, for a caller that knows its backend. The default exposes
    /// nothing, not even the inner handle.
    fn as_any(&self) -> &dyn Any {
        &()
    }
}

/// Returns the inner container, or the error of a method that a backend does not implement.
fn inner_for<'a, C: Container + ?Sized>(
    outer: &'a C,
    operation: &'static str,
    capability: Capability,
) -> Result<&'a dyn Container> {
    outer.inner().ok_or_else(|| unsupported(outer.key(), operation, capability))
}

fn unsupported(key: &ContainerKey, operation: &'static str, capability: Capability) -> Error {
    Error::unsupported(operation, capability.into()).in_container(&key.name)
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
