//! What of a container is read off its inspect.

use std::time::SystemTime;

use crate::{Container, ContainerId, ContainerState, Health, MountInfo, PublishedPort, Result, Until};

/// Single facts of a container, each from one [`inspect`](Container::inspect). Who wants several of them inspects once.
///
/// Implemented for every [`Container`], `dyn` ones included. All of them fail as `inspect` does.
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
    /// Returns its full id; `None` when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn id(&self, until: impl Into<Until>) -> Result<Option<ContainerId>> {
        Ok(self.inspect(&until.into())?.map(|info| info.id))
    }

    /// Returns its state; `None` when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn state(&self, until: impl Into<Until>) -> Result<Option<ContainerState>> {
        Ok(self.inspect(&until.into())?.map(|info| info.state))
    }

    /// Returns whether it is running now; false when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn running(&self, until: impl Into<Until>) -> Result<bool> {
        Ok(self.inspect(&until.into())?.is_some_and(|info| info.state.is_running()))
    }

    /// Returns when it was last started; `None` when absent or never started.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn started_at(&self, until: impl Into<Until>) -> Result<Option<SystemTime>> {
        Ok(self.inspect(&until.into())?.and_then(|info| info.started_at))
    }

    /// Returns its mounts; `None` when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn mounts(&self, until: impl Into<Until>) -> Result<Option<Vec<MountInfo>>> {
        Ok(self.inspect(&until.into())?.map(|info| info.mounts))
    }

    /// Returns its published ports; `None` when absent.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn ports(&self, until: impl Into<Until>) -> Result<Option<Vec<PublishedPort>>> {
        Ok(self.inspect(&until.into())?.map(|info| info.ports))
    }

    /// Returns the verdict of its health check; `None` when absent or without a check.
    ///
    /// # Errors
    /// As for [`inspect`](Container::inspect).
    fn health(&self, until: impl Into<Until>) -> Result<Option<Health>> {
        Ok(self.inspect(&until.into())?.and_then(|info| info.health))
    }
}

impl<C: Container + ?Sized> ContainerExt for C {}
