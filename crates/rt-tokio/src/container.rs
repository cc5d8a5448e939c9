//! The async twin of a container handle.

use std::ffi::OsString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, Container, ContainerExt, ContainerId, ContainerInfo, ContainerKey, ContainerName, ContainerPath,
    ContainerState, ContainerStats, CopyOptions, DirEntry, ExecRequest, ExecResult, ExecStdio, ExitOutcome,
    FileInfo, FileOptions, Health, LogOptions, MountInfo, PublishedPort, Readiness, Result, Signal,
    SpawnStdio, StdioResult, Until, file_operation,
};

use crate::call::{Call, Operation, PendingCall};
use crate::child::Child;
use crate::held_command::HeldCommand;
use crate::image::AsyncImage;
use crate::item_stream::{ItemStream, LogStream, OpenStream};
use crate::runtime_handle::SharedHandle;

/// A handle on a container: the async twin of [`Container`] and [`ContainerExt`]. Creating one
/// performs no I/O. Clones refer to the same container.
///
/// Each method has the name, the arguments and the errors of its twin. `until` is an [`Until`], a
/// `Duration` or an `Instant`. If a call has to wait for its turn
/// ([`at_once`](crate::AsyncRuntimeBuilder::at_once)), the wait counts.
#[derive(Clone)]
pub struct AsyncContainer {
    container: Arc<dyn Container>,
    handle: SharedHandle,
}

impl AsyncContainer {
    pub(crate) fn new(container: Arc<dyn Container>, handle: &SharedHandle) -> Self {
        Self { container, handle: handle.clone() }
    }

    /// Returns the handle of the contract, whose calls block.
    pub fn as_blocking(&self) -> &Arc<dyn Container> {
        &self.container
    }

    /// Makes any other blocking call on a thread, with the limit and the cancellation of the
    /// others.
    ///
    /// ```
    /// # use rt_tokio::AsyncContainer;
    /// # use rt_protocol::*;
    /// # use std::time::Duration;
    /// # async fn first_port(web: &AsyncContainer) -> Result<Option<u16>> {
    /// web.blocking(Duration::from_secs(10), |web, until| {
    ///     Ok(web.ports(until)?.unwrap_or_default().first().map(|port| port.host_port))
    /// })
    /// .await
    /// # }
    /// ```
    pub fn blocking<T: Send + 'static>(
        &self,
        until: impl Into<Until>,
        work: impl FnOnce(&Arc<dyn Container>, &Until) -> Result<T> + Send + 'static,
    ) -> Call<Result<T>> {
        self.call("use", until, work)
    }

    /// Returns the runtime and the name of the container.
    pub fn key(&self) -> &ContainerKey {
        self.container.key()
    }

    /// Returns the name of the container.
    pub fn name(&self) -> &ContainerName {
        self.container.name()
    }

    /// Runs a command to its end and returns its output, as [`Container::exec`] does.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use rt_null::{ExecReply, NullRuntime};
    /// # use rt_protocol::*;
    /// # use rt_tokio::AsyncRuntime;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let null = NullRuntime::new();
    /// # null.set_exec("job", ["make", "lint"], ExecReply::stdout("no warnings\n"))?;
    /// # let runtime = AsyncRuntime::new(Arc::new(null));
    /// # let limit = Duration::from_secs(60);
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit).await?;
    /// let lint = ExecRequest::new(["make", "lint"])?;
    /// let docs = ExecRequest::new(["make", "docs"])?;
    /// // A call owns what it needs, so it can be spawned.
    /// let docs = tokio::spawn(job.exec(&docs, limit));
    /// println!("{}", job.exec(&lint, limit).await?.exit_ok()?.stdout);
    /// docs.await.expect("it does not panic")?.exit_ok()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn exec(&self, request: &ExecRequest, until: impl Into<Until>) -> Call<Result<ExecResult>> {
        let request = request.clone();
        let operation = self.operation("exec in").of_command(false);
        self.answer(operation, until, move |container, until| container.exec(&request, until))
    }

    /// Runs a command with its streams connected to sources and sinks, as
    /// [`Container::exec_stdio`] does.
    pub fn exec_stdio(
        &self,
        request: &ExecRequest,
        stdio: ExecStdio<'static>,
        until: impl Into<Until>,
    ) -> Call<Result<StdioResult>> {
        let request = request.clone();
        let operation = self.operation("exec in").of_command(true);
        self.answer(operation, until, move |container, until| container.exec_stdio(&request, stdio, until))
    }

    /// Starts a command, and returns it while it runs, as [`ContainerExt::spawn_command`] does.
    /// `until` limits the start alone.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use rt_null::{NullRuntime, StdioScript};
    /// # use rt_protocol::*;
    /// # use rt_tokio::AsyncRuntime;
    /// use tokio::io::{AsyncBufReadExt, BufReader};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// # let null = NullRuntime::new();
    /// # null.set_stdio("job", ["make"], StdioScript::new().write("cc\nld\n").exit(0))?;
    /// # let runtime = AsyncRuntime::new(Arc::new(null));
    /// # let limit = Duration::from_secs(60);
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit).await?;
    /// let request = ExecRequest::new(["make"])?;
    /// let mut make = job.spawn(&request, SpawnStdio::new(), limit).await?;
    /// let mut lines = BufReader::new(make.stdout.take().expect("it is piped")).lines();
    /// while let Some(line) = lines.next_line().await? {
    ///     println!("make: {line}");
    /// }
    /// make.wait(limit).await?.exit_ok()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When awaited outside of a tokio runtime with I/O.
    pub fn spawn(
        &self,
        request: &ExecRequest,
        stdio: SpawnStdio,
        until: impl Into<Until>,
    ) -> Call<Result<Child>> {
        let (request, name) = (request.clone(), self.name().clone());
        let (container, shared) = (Arc::clone(&self.container), Arc::clone(self.handle.shared()));
        let operation = self.operation("exec in").of_command(true);
        let call = PendingCall::new(&self.handle, operation, until.into(), move |until| {
            let command = container.spawn_command(&request, stdio, until)?;
            Ok(HeldCommand::new(command, name, &shared))
        });
        let handle = self.handle.clone();
        Call::new(async move { Child::new(call.await??, handle) })
    }

    /// Returns what the engine knows about the container, as [`Container::inspect`] does.
    pub fn inspect(&self, until: impl Into<Until>) -> Call<Result<Option<ContainerInfo>>> {
        self.call("inspect", until, Container::inspect)
    }

    /// Returns a handle on the container's image, as [`Container::image`] does.
    pub fn image(&self, until: impl Into<Until>) -> Call<Result<Option<AsyncImage>>> {
        let call = self.call("find the image of", until, Container::image);
        let handle = self.handle.clone();
        Call::new(async move { Ok(call.await?.map(|image| AsyncImage::new(image, &handle))) })
    }

    /// Returns the size of the container's writable layer, as [`Container::rw_size`] does.
    pub fn rw_size(&self, until: impl Into<Until>) -> Call<Result<Option<u64>>> {
        self.call("measure", until, Container::rw_size)
    }

    /// Starts the container, as [`Container::start`] does.
    pub fn start(&self, until: impl Into<Until>) -> Call<Result<()>> {
        self.call("start", until, Container::start)
    }

    /// Stops the container, as [`Container::stop`] does.
    pub fn stop(&self, grace: Duration, until: impl Into<Until>) -> Call<Result<()>> {
        self.call("stop", until, move |container, until| container.stop(grace, until))
    }

    /// Stops the container and starts it again, as [`ContainerExt::restart`] does.
    pub fn restart(&self, grace: Duration, until: impl Into<Until>) -> Call<Result<()>> {
        self.call("restart", until, move |container, until| container.restart(grace, until))
    }

    /// Waits until the main process has ended, as [`Container::wait`] does.
    pub fn wait(&self, until: impl Into<Until>) -> Call<Result<ExitOutcome>> {
        self.call("wait for", until, Container::wait)
    }

    /// Freezes the container, as [`Container::pause`] does.
    pub fn pause(&self, until: impl Into<Until>) -> Call<Result<()>> {
        self.call("pause", until, Container::pause)
    }

    /// Returns what the container uses, as [`Container::stats`] does.
    pub fn stats(&self, until: impl Into<Until>) -> Call<Result<ContainerStats>> {
        self.call("measure the use of", until, Container::stats)
    }

    /// Lets a paused container run on, as [`Container::unpause`] does.
    pub fn unpause(&self, until: impl Into<Until>) -> Call<Result<()>> {
        self.call("unpause", until, Container::unpause)
    }

    /// Sends a signal to the main process, as [`Container::kill`] does.
    pub fn kill(&self, signal: Signal, until: impl Into<Until>) -> Call<Result<()>> {
        self.call("signal", until, move |container, until| container.kill(signal, until))
    }

    /// Removes the container, running or not, as [`Container::remove`] does.
    pub fn remove(&self, until: impl Into<Until>) -> Call<Result<()>> {
        self.call("remove", until, Container::remove)
    }

    /// Copies a file or directory of the host into the container, as [`Container::copy_in`] does.
    pub fn copy_in(
        &self,
        src: &Path,
        dest: &ContainerPath,
        options: &CopyOptions,
        until: impl Into<Until>,
    ) -> Call<Result<()>> {
        let (src, dest, options) = (src.to_owned(), dest.clone(), *options);
        self.call("copy into", until, move |container, until| container.copy_in(&src, &dest, &options, until))
    }

    /// Copies a file or directory of the container to the host, as [`Container::copy_out`] does.
    pub fn copy_out(
        &self,
        src: &ContainerPath,
        dest: &Path,
        options: &CopyOptions,
        until: impl Into<Until>,
    ) -> Call<Result<()>> {
        let (src, dest, options) = (src.clone(), dest.to_owned(), *options);
        self.call("copy out of", until, move |container, until| {
            container.copy_out(&src, &dest, &options, until)
        })
    }

    /// Unpacks a tar stream into a directory of the container, as [`Container::copy_in_tar`] does.
    ///
    /// A thread reads `tar`, whose reads may block: a file, or `tokio_util::io::SyncIoBridge` for
    /// an async reader.
    pub fn copy_in_tar(
        &self,
        tar: impl Read + Send + 'static,
        dest: &ContainerPath,
        until: impl Into<Until>,
    ) -> Call<Result<()>> {
        let (mut tar, dest) = (tar, dest.clone());
        self.call("copy into", until, move |container, until| container.copy_in_tar(&mut tar, &dest, until))
    }

    /// Packs a file or directory of the container into a tar stream, as
    /// [`Container::copy_out_tar`] does, and returns the writer.
    pub fn copy_out_tar<W: Write + Send + 'static>(
        &self,
        src: &ContainerPath,
        tar: W,
        until: impl Into<Until>,
    ) -> Call<Result<W>> {
        let (src, mut tar) = (src.clone(), tar);
        self.call("copy out of", until, move |container, until| {
            container.copy_out_tar(&src, &mut tar, until)?;
            Ok(tar)
        })
    }

    /// Writes a file of the container, as [`Container::write_file`] does.
    pub fn write_file(
        &self,
        path: &ContainerPath,
        bytes: impl Into<Vec<u8>>,
        options: &FileOptions,
        until: impl Into<Until>,
    ) -> Call<Result<()>> {
        let (path, bytes, options) = (path.clone(), bytes.into(), *options);
        self.call(file_operation::WRITE, until, move |container, until| {
            container.write_file(&path, &bytes, &options, until)
        })
    }

    /// Reads a file of the container of at most `limit` bytes, as [`Container::read_file`] does.
    pub fn read_file(
        &self,
        path: &ContainerPath,
        limit: u64,
        until: impl Into<Until>,
    ) -> Call<Result<Vec<u8>>> {
        let path = path.clone();
        self.call(file_operation::READ, until, move |container, until| {
            container.read_file(&path, limit, until)
        })
    }

    /// Returns what is at a path, as [`Container::stat`] does.
    pub fn stat(&self, path: &ContainerPath, until: impl Into<Until>) -> Call<Result<Option<FileInfo>>> {
        let path = path.clone();
        self.call(file_operation::STAT, until, move |container, until| container.stat(&path, until))
    }

    /// Returns the entries of a directory of the container, as [`Container::list_dir`] does.
    pub fn list_dir(&self, path: &ContainerPath, until: impl Into<Until>) -> Call<Result<Vec<DirEntry>>> {
        let path = path.clone();
        self.call(file_operation::LIST, until, move |container, until| container.list_dir(&path, until))
    }

    /// Removes what is at a path, as [`Container::remove_path`] does.
    pub fn remove_path(&self, path: &ContainerPath, until: impl Into<Until>) -> Call<Result<()>> {
        let path = path.clone();
        self.call(file_operation::REMOVE, until, move |container, until| container.remove_path(&path, until))
    }

    /// Returns the argv of an interactive session, as [`Container::login_command`] does.
    pub fn login_command(
        &self,
        command: Option<&Argv>,
        until: impl Into<Until>,
    ) -> Call<Result<Vec<OsString>>> {
        let command = command.cloned();
        self.call("log in to", until, move |container, until| {
            container.login_command(command.as_ref(), until)
        })
    }

    /// Opens the log of the container, as [`Container::logs`] does. `until` limits the opening.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use rt_null::{LogScript, NullRuntime};
    /// # use rt_protocol::*;
    /// # use rt_tokio::AsyncRuntime;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let null = NullRuntime::new();
    /// # null.set_logs("job", LogScript::new().line("listening on 8080"))?;
    /// # let runtime = AsyncRuntime::new(Arc::new(null));
    /// # let limit = Duration::from_secs(60);
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit).await?;
    /// let mut log = job.logs(&LogOptions::new().tail(100), limit).await?;
    /// while let Some(line) = log.next().await {
    ///     println!("{}", line?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn logs(&self, options: &LogOptions, until: impl Into<Until>) -> Call<Result<LogStream>> {
        const OPERATION: &str = "read the log of";
        let (options, shared) = (options.clone(), Arc::clone(self.handle.shared()));
        let call = self.call(OPERATION, until, move |container, until| {
            container.logs(&options, until).map(|stream| OpenStream::new(stream, &shared))
        });
        let handle = self.handle.clone();
        Call::new(async move { ItemStream::new(call.await?, OPERATION, &handle) })
    }

    /// Follows the log until `ready` accepts a line, as [`Container::stream_initial_logs`] does.
    pub fn stream_initial_logs(
        &self,
        ready: impl FnMut(&str) -> bool + Send + 'static,
        echo: impl Write + Send + 'static,
        until: impl Into<Until>,
    ) -> Call<Result<Readiness>> {
        let (mut ready, mut echo) = (ready, echo);
        self.call("watch the log of", until, move |container, until| {
            container.stream_initial_logs(&mut ready, &mut echo, until)
        })
    }

    /// Returns the full id of the container, as [`ContainerExt::id`] does.
    pub fn id(&self, until: impl Into<Until>) -> Call<Result<Option<ContainerId>>> {
        self.call("inspect", until, |container, until| container.id(until))
    }

    /// Returns the state of the container, as [`ContainerExt::state`] does.
    pub fn state(&self, until: impl Into<Until>) -> Call<Result<Option<ContainerState>>> {
        self.call("inspect", until, |container, until| container.state(until))
    }

    /// Returns whether the container is running now, as [`ContainerExt::running`] does.
    pub fn running(&self, until: impl Into<Until>) -> Call<Result<bool>> {
        self.call("inspect", until, |container, until| container.running(until))
    }

    /// Returns when the container was last started, as [`ContainerExt::started_at`] does.
    pub fn started_at(&self, until: impl Into<Until>) -> Call<Result<Option<SystemTime>>> {
        self.call("inspect", until, |container, until| container.started_at(until))
    }

    /// Returns the mounts of the container, as [`ContainerExt::mounts`] does.
    pub fn mounts(&self, until: impl Into<Until>) -> Call<Result<Option<Vec<MountInfo>>>> {
        self.call("inspect", until, |container, until| container.mounts(until))
    }

    /// Returns the published ports of the container, as [`ContainerExt::ports`] does.
    pub fn ports(&self, until: impl Into<Until>) -> Call<Result<Option<Vec<PublishedPort>>>> {
        self.call("inspect", until, |container, until| container.ports(until))
    }

    /// Returns the result of the health check, as [`ContainerExt::health`] does.
    pub fn health(&self, until: impl Into<Until>) -> Call<Result<Option<Health>>> {
        self.call("inspect", until, |container, until| container.health(until))
    }

    fn operation(&self, name: &'static str) -> Operation {
        Operation::new(name).in_container(self.name())
    }

    fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        until: impl Into<Until>,
        work: impl FnOnce(&Arc<dyn Container>, &Until) -> Result<T> + Send + 'static,
    ) -> Call<Result<T>> {
        self.answer(self.operation(name), until, work)
    }

    fn answer<T: Send + 'static>(
        &self,
        operation: Operation,
        until: impl Into<Until>,
        work: impl FnOnce(&Arc<dyn Container>, &Until) -> Result<T> + Send + 'static,
    ) -> Call<Result<T>> {
        let container = Arc::clone(&self.container);
        let call =
            PendingCall::new(&self.handle, operation, until.into(), move |until| work(&container, until));
        Call::new(async move { call.await? })
    }
}

impl fmt::Debug for AsyncContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncContainer").field(&self.container).finish()
    }
}

/// Two handles are equal if their runtimes and names are.
impl PartialEq for AsyncContainer {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for AsyncContainer {}

impl Hash for AsyncContainer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
