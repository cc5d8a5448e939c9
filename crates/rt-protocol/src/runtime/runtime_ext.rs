//! Convenience methods over the object-safe contract.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Container, ContainerFilter, ContainerInfo, ContainerName, ContainerRemoveResult, ContainerRuntime,
    ContainerState, ExecRequest, ExecResult, LaunchSpec, Liveness, NamePrefix, Owner, Ready, ReadyWhen,
    Result, Until,
};

/// Convenience methods of every [`ContainerRuntime`]: with generic arguments, or made of several
/// calls.
///
/// Implemented for every [`ContainerRuntime`], including `dyn ContainerRuntime`.
///
/// ```
/// use std::time::Duration;
///
/// use rt_null::NullRuntime;
/// use rt_protocol::{ContainerRuntimeExt, LaunchSpec};
///
/// let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
/// runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit)?;
/// runtime.exec_in("job", ["ls", "-l"], limit)?.exit_ok()?;
/// # Ok::<(), rt_protocol::Error>(())
/// ```
pub trait ContainerRuntimeExt: ContainerRuntime {
    /// Runs a command in the container of this name, and returns its output.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::{ExecReply, NullRuntime};
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # runtime.set_state("job", ContainerState::Running)?;
    /// # runtime.set_exec("job", ["cat", "/etc/hostname"], ExecReply::stdout("job\n"))?;
    /// let limit = Duration::from_secs(10);
    /// let output = runtime.exec_in("job", ["cat", "/etc/hostname"], limit)?.exit_ok()?;
    /// assert_eq!(output.stdout, "job\n");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Container::exec`]; [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for an
    /// invalid name or command.
    fn exec_in<I, S>(&self, name: impl Into<String>, argv: I, until: impl Into<Until>) -> Result<ExecResult>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let request = ExecRequest::new(argv)?;
        self.exec(&ContainerName::new(name)?, &request, &until.into())
    }

    /// Returns handles on all containers whose name begins with `prefix` and a dash, running or
    /// not.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # runtime.set_state("ci-1", ContainerState::Running)?;
    /// let limit = Duration::from_secs(10);
    /// for job in runtime.containers_with_prefix(&NamePrefix::new("ci")?, limit)? {
    ///     job.stop(DEFAULT_STOP_GRACE, &limit.into())?;
    /// }
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`ContainerRuntime::list`].
    fn containers_with_prefix(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Result<Vec<Arc<dyn Container>>> {
        let found = self.list(&ContainerFilter::prefix(prefix.clone()), &until.into())?;
        Ok(found.iter().map(|info| self.container(&info.name)).collect())
    }

    /// Returns the states of all containers whose name begins with `prefix` and a dash, from one
    /// request.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # runtime.set_state("ci-1", ContainerState::Running)?;
    /// let states = runtime.states(&NamePrefix::new("ci")?, Duration::from_secs(10))?;
    /// assert!(states.values().all(ContainerState::is_running));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`ContainerRuntime::list`].
    fn states(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Result<BTreeMap<ContainerName, ContainerState>> {
        let found = self.list(&ContainerFilter::prefix(prefix.clone()), &until.into())?;
        Ok(found.into_iter().map(|info| (info.name, info.state)).collect())
    }

    /// Removes all containers whose name begins with `prefix` and a dash, running or not, with
    /// their anonymous volumes. Returns one result for each, in the order of their names.
    ///
    /// They are listed once: a container that is created meanwhile may stay.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # runtime.set_state("ci-1", ContainerState::Running)?;
    /// for result in runtime.remove_family(&NamePrefix::new("ci")?, Duration::from_secs(60))? {
    ///     if let Some(error) = result.error {
    ///         eprintln!("{error}");
    ///     }
    /// }
    /// # assert!(runtime.list(&ContainerFilter::all(), &Until::forever())?.is_empty());
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`ContainerRuntime::list`]; then nothing was removed. A container that could not be
    /// removed has its error in its result.
    fn remove_family(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Result<Vec<ContainerRemoveResult>> {
        let until = until.into();
        let found = self.list(&ContainerFilter::prefix(prefix.clone()), &until)?;
        let mut names: Vec<_> = found.into_iter().map(|info| info.name).collect();
        names.sort();
        Ok(self.force_remove(&names, &until))
    }

    /// Removes those containers whose name begins with `prefix` and a dash and whose
    /// [owner](Owner::of) has [ended](Liveness::Ended). Returns one result for each, in the order
    /// of their names.
    ///
    /// Containers without an owner stay, and those whose owner cannot be seen from here.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
    /// let owner = Owner::this_process()?;
    /// let spec = LaunchSpec::builder("ci-1", "alpine").owner(&owner).build()?;
    /// runtime.launch(&spec, limit)?;
    /// // The owner runs, so nothing is removed.
    /// assert!(runtime.remove_orphans(&NamePrefix::new("ci")?, limit)?.is_empty());
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`remove_family`](Self::remove_family).
    fn remove_orphans(
        &self,
        prefix: &NamePrefix,
        until: impl Into<Until>,
    ) -> Result<Vec<ContainerRemoveResult>> {
        let until = until.into();
        let found = self.list(&ContainerFilter::prefix(prefix.clone()), &until)?;
        let has_ended =
            |info: &ContainerInfo| Owner::of(info).is_some_and(|owner| owner.liveness() == Liveness::Ended);
        let mut names: Vec<_> = found.into_iter().filter(has_ended).map(|info| info.name).collect();
        names.sort();
        Ok(self.force_remove(&names, &until))
    }

    /// Creates a container and starts it. If the start fails, the container is removed again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::NullRuntime;
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// let spec = LaunchSpec::builder("job", "docker.io/library/alpine:3.20")
    ///     .command(["sleep", "inf"])
    ///     .build()?;
    /// let job = runtime.launch(&spec, Duration::from_secs(60))?;
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`ContainerRuntime::create`] and [`Container::start`].
    fn launch(&self, spec: &LaunchSpec, until: impl Into<Until>) -> Result<Arc<dyn Container>> {
        let until = until.into();
        let container = self.create(spec, &until)?;
        match container.start(&until) {
            Ok(()) => Ok(container),
            Err(error) => {
                // Also after a deadline or a cancellation.
                // The first error matters more to the caller than a removal that fails too.
                let _ = self.force_remove(
                    std::slice::from_ref(spec.name()),
                    &Until::after(REMOVE_AFTER_FAILED_START),
                );
                // The handle does not know the command, which may not exist.
                Err(match spec.command() {
                    Some(argv) => error.of_command(argv),
                    None => error,
                })
            }
        }
    }

    /// Waits until a container meets all conditions of `when`. Fails early if the container has
    /// ended.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::{LogScript, NullRuntime};
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # runtime.set_state("db", ContainerState::Running)?;
    /// # runtime.set_logs("db", LogScript::new().line("ready to accept connections"))?;
    /// let when = ReadyWhen::new().log_line("its ready line", |line| line.contains("ready to"));
    /// let db = ContainerName::new("db")?;
    /// runtime.wait_until_ready(&db, &when, Duration::from_secs(60))?;
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`ReadyWhen::wait`].
    fn wait_until_ready(
        &self,
        name: &ContainerName,
        when: &ReadyWhen,
        until: impl Into<Until>,
    ) -> Result<Ready> {
        when.wait(self.container(name).as_ref(), until)
    }
}

/// The time limit of the removal after a failed start.
const REMOVE_AFTER_FAILED_START: Duration = Duration::from_secs(30);

impl<R: ContainerRuntime + ?Sized> ContainerRuntimeExt for R {}
