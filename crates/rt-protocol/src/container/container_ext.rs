//! What every container can do by the methods of its backend: single facts of its inspect, and
//! commands that run while the caller does other things.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{
    BackgroundCommand, Capability, Container, ContainerId, ContainerName, ContainerState, Error, ExecRequest,
    Health, MountInfo, PublishedPort, Result, RunningCommand, SpawnStdio, Until,
};

/// Single facts about a container, its restart, and commands that run while the caller does other
/// things.
///
/// Each method for a fact of the engine calls [`inspect`](Container::inspect) once; for several
/// facts, call that instead.
///
/// Implemented for every [`Container`], including `dyn Container`.
///
/// ```
/// use std::time::Duration;
///
/// use rt_null::NullRuntime;
/// use rt_protocol::{ContainerExt, ContainerRuntimeExt, ContainerState, LaunchSpec};
///
/// let runtime = NullRuntime::new();
/// let limit = Duration::from_secs(10);
/// let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit)?;
/// assert!(job.running(limit)?);
/// assert_eq!(job.state(limit)?, Some(ContainerState::Running));
/// # Ok::<(), rt_protocol::Error>(())
/// ```
pub trait ContainerExt: Container {
    /// Returns the name of the container. Performs no I/O.
    fn name(&self) -> &ContainerName {
        &self.key().name
    }

    /// Stops the container and starts it again; one that does not run is started.
    ///
    /// `grace` is that of [`stop`](Container::stop). A container that its engine removes at its end
    /// (podman's `--rm`) cannot be restarted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// job.restart(DEFAULT_STOP_GRACE, &until)?;
    /// assert!(job.running(&until)?);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`stop`](Container::stop) and [`start`](Container::start). The
    /// [operation](Error::operation) says which of them failed.
    fn restart(&self, grace: Duration, until: impl Into<Until>) -> Result<()> {
        let until = until.into();
        self.stop(grace, &until)?;
        self.start(&until)
    }

    /// Returns the full id of the container; `None` if it does not exist.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn id(&self, until: impl Into<Until>) -> Result<Option<ContainerId>> {
        Ok(self.inspect(&until.into())?.map(|info| info.id))
    }

    /// Returns the state of the container; `None` if it does not exist.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn state(&self, until: impl Into<Until>) -> Result<Option<ContainerState>> {
        Ok(self.inspect(&until.into())?.map(|info| info.state))
    }

    /// Returns whether the container is running now; false if it does not exist.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn running(&self, until: impl Into<Until>) -> Result<bool> {
        Ok(self.inspect(&until.into())?.is_some_and(|info| info.state.is_running()))
    }

    /// Returns when the container was last started; `None` if it does not exist or was never
    /// started.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn started_at(&self, until: impl Into<Until>) -> Result<Option<SystemTime>> {
        Ok(self.inspect(&until.into())?.and_then(|info| info.started_at))
    }

    /// Returns the mounts of the container; `None` if it does not exist.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn mounts(&self, until: impl Into<Until>) -> Result<Option<Vec<MountInfo>>> {
        Ok(self.inspect(&until.into())?.map(|info| info.mounts))
    }

    /// Returns the published ports of the container; `None` if it does not exist.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// let spec = LaunchSpec::builder("web", "nginx")
    ///     .port(PortMapping::any_port_on_loopback(80));
    /// let web = runtime.launch(&spec.build()?, &until)?;
    /// for port in web.ports(&until)?.unwrap_or_default() {
    ///     println!("port {} of the host is port {}", port.host_port, port.container_port);
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn ports(&self, until: impl Into<Until>) -> Result<Option<Vec<PublishedPort>>> {
        Ok(self.inspect(&until.into())?.map(|info| info.ports))
    }

    /// Returns the result of the container's health check; `None` if it does not exist or has no
    /// check.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn health(&self, until: impl Into<Until>) -> Result<Option<Health>> {
        Ok(self.inspect(&until.into())?.and_then(|info| info.health))
    }

    /// Starts a command, and returns it while it runs: its streams, its end, a way to end it.
    /// [`RunningCommand`] has an example.
    ///
    /// `until` limits the start alone. On podman's warm path, a command needs no thread if none of
    /// its streams is a source or a sink, and the request has no output limit. A backend without
    /// [`Capability::Spawn`] gets a thread that calls [`exec_stdio`](Container::exec_stdio), so
    /// this works on every backend that has that method.
    ///
    /// # Errors
    /// Those of [`exec_stdio`](Container::exec_stdio), here or from
    /// [`wait`](RunningCommand::wait): a thread learns only later that the command cannot start.
    /// [`System`](crate::ErrorKind::System) if there are no descriptors or threads left.
    fn spawn_command(
        self: &Arc<Self>,
        request: &ExecRequest,
        stdio: SpawnStdio,
        until: impl Into<Until>,
    ) -> Result<RunningCommand>
    where
        Self: 'static,
    {
        const OPERATION: &str = "exec in";
        let until = until.into();
        let name = &self.key().name;
        until
            .check()
            .map_err(|stop| Error::stopped(stop, OPERATION).in_container(name).of_unstarted_command(true))?;
        let connected = stdio
            .connect()
            .map_err(|error| Error::out_of_resources(OPERATION, error.to_string()).in_container(name))?;
        let mut streams = connected.far;
        let control = match self.spawn(request, &mut streams, &until) {
            Err(error) if error.missing().contains(Capability::Spawn) => {
                let (container, request, stdio) = (Arc::clone(self), request.clone(), streams.take());
                let call = move |until: &Until| container.exec_stdio(&request, stdio, until);
                Box::new(BackgroundCommand::start(call).map_err(|error| error.in_container(name))?)
            }
            control => control?,
        };
        // The outputs end with the command.
        drop(streams);
        let mut command = RunningCommand::new(name.clone(), control);
        command.may_resize = request.terminal().is_some();
        (command.stdin, command.stdout, command.stderr) =
            (connected.stdin, connected.stdout, connected.stderr);
        Ok(command)
    }
}

impl<C: Container + ?Sized> ContainerExt for C {}
