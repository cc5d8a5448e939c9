//! //! The public recorders: they list the calls that a program made. Their records are in
//! `state/call`.

use crate::runtime::NullRuntime;
use crate::state::call::{
    CopyCall, CreateCall, ExecCall, FileCall, KillCall, LoginCall, NameCall, PullCall, StopCall, TarCall,
};

/// # Recorders
///
/// Every call that the runtime supports and that starts before its deadline is recorded, in the
/// order of arrival. The record is made before the outcome is known, so a call that fails is
/// recorded too. Records accumulate until they are [cleared](NullRuntime::clear_calls).
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
    /// Returns the captured commands.
    pub fn exec_calls(&self) -> Vec<ExecCall> {
        self.shared.read(|world| world.calls.exec.clone())
    }

    /// Returns the bridged commands.
    pub fn stdio_calls(&self) -> Vec<ExecCall> {
        self.shared.read(|world| world.calls.stdio.clone())
    }

    /// Returns the creations.
    pub fn create_calls(&self) -> Vec<CreateCall> {
        self.shared.read(|world| world.calls.create.clone())
    }

    /// Returns the starts.
    pub fn start_calls(&self) -> Vec<NameCall> {
        self.shared.read(|world| world.calls.start.clone())
    }

    /// Returns the stops.
    pub fn stop_calls(&self) -> Vec<StopCall> {
        self.shared.read(|world| world.calls.stop.clone())
    }

    /// Returns the calls of `pause`.
    pub fn pause_calls(&self) -> Vec<NameCall> {
        self.shared.read(|world| world.calls.pause.clone())
    }

    /// Returns the calls of `unpause`.
    pub fn unpause_calls(&self) -> Vec<NameCall> {
        self.shared.read(|world| world.calls.unpause.clone())
    }

    /// Returns the signals that were sent to main processes.
    pub fn kill_calls(&self) -> Vec<KillCall> {
        self.shared.read(|world| world.calls.kill.clone())
    }

    /// Returns the removals, one for each name.
    pub fn remove_calls(&self) -> Vec<NameCall> {
        self.shared.read(|world| world.calls.remove.clone())
    }

    /// Returns the copies, in and out.
    pub fn copy_calls(&self) -> Vec<CopyCall> {
        self.shared.read(|world| world.calls.copy.clone())
    }

    /// Returns the tar streams, in and out.
    pub fn tar_calls(&self) -> Vec<TarCall> {
        self.shared.read(|world| world.calls.tar.clone())
    }

    /// Returns what was done with files: writes, reads, lookups, listings and removals.
    pub fn file_calls(&self) -> Vec<FileCall> {
        self.shared.read(|world| world.calls.file.clone())
    }

    /// Returns the login commands that were requested.
    pub fn login_calls(&self) -> Vec<LoginCall> {
        self.shared.read(|world| world.calls.login.clone())
    }

    /// Returns the pulls of images.
    pub fn pull_calls(&self) -> Vec<PullCall> {
        self.shared.read(|world| world.calls.pull.clone())
    }

    /// Deletes the records of all calls. Their order numbers continue.
    pub fn clear_calls(&self) {
        self.shared.update_quietly(|world| world.calls.clear());
    }
}
