//! What a backend does for a command that runs while the caller does other things.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use crate::{
    Capabilities, Capability, Error, KillReport, Result, Signal, StdioResult, TerminalSize, Until, UntilError,
};

/// A backend's side of a [`RunningCommand`](crate::RunningCommand), which users have. For backends;
/// [`BackgroundCommand`](crate::BackgroundCommand) implements it by a thread.
///
/// Dropping it ends the command, as [`kill`](Self::kill) does.
pub trait CommandControl: fmt::Debug + Send {
    /// Returns the result if the command has ended, without waiting. Called until it returns one.
    ///
    /// The errors are those of [`Container::exec_stdio`](crate::Container::exec_stdio).
    fn try_wait(&mut self) -> Option<Result<StdioResult>>;

    /// Waits until [`try_wait`](Self::try_wait) returns a result. The command runs on if `until`
    /// ends first.
    ///
    /// # Errors
    /// Why `until` ended first.
    fn wait(&mut self, until: &Until) -> std::result::Result<(), UntilError>;

    /// Ends the command with everything that it started: TERM,
    /// [`KILL_GRACE`](crate::KILL_GRACE), KILL. Afterwards [`try_wait`](Self::try_wait) returns a
    /// result.
    fn kill(&mut self) -> KillReport;

    /// Sends a signal to the process group of the command. Has no effect once it has ended.
    ///
    /// # Errors
    /// As for [`RunningCommand::signal`](crate::RunningCommand::signal).
    fn signal(&mut self, signal: Signal) -> Result<()> {
        let _ = signal;
        Err(Error::unsupported("signal a command in", Capabilities::none().with(Capability::SendSignal)))
    }

    /// Changes the size of the command's terminal. Only called if the request has one. Has no
    /// effect once the command has ended.
    ///
    /// # Errors
    /// As for [`RunningCommand::resize`](crate::RunningCommand::resize).
    fn resize(&mut self, size: TerminalSize) -> Result<()> {
        let _ = size;
        Err(Error::unsupported("resize a terminal in", Capabilities::none().with(Capability::Spawn)))
    }

    /// Returns a descriptor that is readable when [`try_wait`](Self::try_wait) may have a result.
    /// It may become readable earlier, and must then be polled again after that call.
    ///
    /// # Errors
    /// The operating system has no descriptors left.
    fn readiness(&mut self) -> io::Result<OwnedFd>;
}
