//! The public recorders: which calls a program made. The records themselves stand in `call`.

use crate::runtime::NullRuntime;
use crate::state::call::{CopyCall, CreateCall, ExecCall, LoginCall, NameCall, StopCall};

/// # Recorders
///
/// Every call that this runtime claims to serve and that did not come too late is recorded, in the order of arrival, with
/// its answer still open: also one that then fails. Records grow until they are
/// [cleared](NullRuntime::clear_calls).
///
/// ```
/// use std::time::Duration;
///
/// use rt_null::NullRuntime;
/// use rt_protocol::{ContainerRuntimeExt, ContainerState};
///
/// let runtime = NullRuntime::new();
/// runtime.set_state("job", ContainerState::Running)?;
/// runtime.exec_in("job", ["make", "test"], Duration::from_secs(60))?;
///
/// let calls = runtime.exec_calls();
/// assert_eq!(calls.len(), 1);
/// assert_eq!(calls[0].name.as_str(), "job");
/// assert_eq!(calls[0].argv().program(), "make");
/// assert!(calls[0].env().is_empty() && calls[0].workdir().is_none());
/// # Ok::<(), rt_protocol::Error>(())
/// ```
impl NullRuntime {
    /// Captured commands.
    pub fn exec_calls(&self) -> Vec<ExecCall> {
        self.shared.read(|world| world.calls.exec.clone())
    }

    /// Bridged commands.
    pub fn stdio_calls(&self) -> Vec<ExecCall> {
        self.shared.read(|world| world.calls.stdio.clone())
    }

    /// Creations.
    pub fn create_calls(&self) -> Vec<CreateCall> {
        self.shared.read(|world| world.calls.create.clone())
    }

    /// Starts.
    pub fn start_calls(&self) -> Vec<NameCall> {
        self.shared.read(|world| world.calls.start.clone())
    }

    /// Stops.
    pub fn stop_calls(&self) -> Vec<StopCall> {
        self.shared.read(|world| world.calls.stop.clone())
    }

    /// Removals, one for each name.
    pub fn remove_calls(&self) -> Vec<NameCall> {
        self.shared.read(|world| world.calls.remove.clone())
    }

    /// Copies, in and out.
    pub fn copy_calls(&self) -> Vec<CopyCall> {
        self.shared.read(|world| world.calls.copy.clone())
    }

    /// Login commands that were asked for.
    pub fn login_calls(&self) -> Vec<LoginCall> {
        self.shared.read(|world| world.calls.login.clone())
    }

    /// Forgets the records of all calls. Their order goes on counting.
    pub fn clear_calls(&self) {
        self.shared.update_quietly(|world| world.calls.clear());
    }
}
