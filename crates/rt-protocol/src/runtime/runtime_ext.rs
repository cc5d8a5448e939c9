//! Generic sugar over the object-safe contract.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Container, ContainerFilter, ContainerName, ContainerRuntime, ContainerState, ExecRequest, ExecResult,
    LaunchSpec, NamePrefix, Ready, ReadyWhen, Result, Until,
};

/// What a `dyn` trait cannot have: generic arguments, and steps made of several.
///
/// Implemented for every [`ContainerRuntime`], `dyn` ones included.
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
    /// Runs a command in the container of this name.
    ///
    /// # Errors
    /// As for [`Container::exec`]; [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a name or command that is
    /// refused.
    fn exec_in<I, S>(&self, name: impl Into<String>, argv: I, until: impl Into<Until>) -> Result<ExecResult>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let request = ExecRequest::new(argv)?;
        self.exec(&ContainerName::new(name)?, &request, &until.into())
    }

    /// Returns handles on all containers whose name begins with `prefix` and a dash, running or not.
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

    /// Returns the states of all containers of a family, from one question.
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

    /// Makes a container and starts it. When the start fails, what was made is removed again.
    ///
    /// # Errors
    /// As for [`ContainerRuntime::create`] and [`Container::start`].
    fn launch(&self, spec: &LaunchSpec, until: impl Into<Until>) -> Result<Arc<dyn Container>> {
        let until = until.into();
        let container = self.create(spec, &until)?;
        match container.start(&until) {
            Ok(()) => Ok(container),
            Err(error) => {
                // Also after a deadline or a cancel: what this call made, this call removes.
                // The reason of the failure is worth more to the caller than a removal that fails too.
                let _ = self.force_remove(
                    std::slice::from_ref(spec.name()),
                    &Until::after(REMOVE_AFTER_FAILED_START),
                );
                // A command that does not exist shows at the start, and the handle does not know what it is.
                Err(match spec.command() {
                    Some(argv) => error.of_command(argv),
                    None => error,
                })
            }
        }
    }

    /// Waits until a container is ready, by all of these conditions, and fails early when it has ended.
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

/// How long the clean-up after a failed start may take.
const REMOVE_AFTER_FAILED_START: Duration = Duration::from_secs(30);

impl<R: ContainerRuntime + ?Sized> ContainerRuntimeExt for R {}
