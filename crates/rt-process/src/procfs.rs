//! The processes of this machine as `/proc` shows them, and signals to exactly the one that was meant.
//!
//! For processes that are nobody's children here: commands inside a container, seen from the host. What those processes
//! are to each other, and which to end, is decided by the caller. Linux only; elsewhere every function answers
//! [`Unsupported`](std::io::ErrorKind::Unsupported).

use std::io;

mod pipe_end;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
use proc as imp;
#[cfg(not(target_os = "linux"))]
mod absent;
#[cfg(not(target_os = "linux"))]
use absent as imp;
mod process_entry;
mod signal;

pub use pipe_end::PipeEnd;
pub use process_entry::ProcessEntry;
pub use signal::Signal;

/// All processes, by no particular order.
///
/// Processes come and go while this reads: one that vanishes is left out, one that starts may be missed. On a `/proc` that
/// hides the processes of others (`hidepid`), those are left out.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn snapshot() -> io::Result<Vec<ProcessEntry>> {
    imp::snapshot()
}

/// One process; `None` when there is none of that number.
///
/// # Errors
/// When it cannot be read.
pub fn entry(pid: u32) -> io::Result<Option<ProcessEntry>> {
    imp::entry(pid)
}

/// Whether the process was started with exactly `name=value` in its environment; `None` when the process is gone, or a
/// zombie.
///
/// What the process has changed in its own environment since does not show. `Some(false)` for a thread of the kernel,
/// which has none, and for an instant of every `execve`, while the old environment is gone and the new one not yet there:
/// who looks for processes by their environment looks twice.
///
/// # Errors
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others when it cannot be read.
pub fn environment_has(pid: u32, name: &str, value: &str) -> io::Result<Option<bool>> {
    imp::environment_has(pid, name, value)
}

/// The process namespace of a process, by its inode number: equal numbers are the same namespace; `None` when the process
/// is gone.
///
/// # Errors
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others when it cannot be read.
pub fn pid_namespace(pid: u32) -> io::Result<Option<u64>> {
    imp::pid_namespace(pid)
}

/// The numbers of the processes that may have been started since one of this number was: numbers
/// are given in order, and begin again at their end.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn pids_since(pid: u32) -> io::Result<Vec<u32>> {
    imp::pids_since(pid)
}

/// The ends of pipes that the process holds open; `None` when it is gone.
///
/// # Errors
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others when it cannot be read.
pub fn pipe_ends(pid: u32) -> io::Result<Option<Vec<PipeEnd>>> {
    imp::pipe_ends(pid)
}

/// Whether the process is stopped by a signal or a tracer; false when it is gone.
///
/// # Errors
/// When it cannot be read.
pub fn is_stopped(pid: u32) -> io::Result<bool> {
    imp::is_stopped(pid)
}

/// Whether the process is on its way to its end, or gone. The first process of a pid namespace stays for a while on this
/// way: it ends after all others of the namespace.
///
/// # Errors
/// When it cannot be read.
pub fn is_exiting(pid: u32) -> io::Result<bool> {
    imp::is_exiting(pid)
}

/// Whether KILL is pending for the process, it is [on its way to its end](is_exiting), or it is gone. It runs no instruction of
/// its program any more, and ends as soon as the system gives it time to: not while it waits in the kernel for a device, nor
/// while a control group (v1) keeps it frozen.
///
/// # Errors
/// When it cannot be read.
pub fn is_being_killed(pid: u32) -> io::Result<bool> {
    imp::is_being_killed(pid)
}

/// The mount namespace of a process, as [`pid_namespace`] tells that of its processes. Each container has one of its own,
/// also where it shares every other namespace.
///
/// # Errors
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others when it cannot be read.
pub fn mount_namespace(pid: u32) -> io::Result<Option<u64>> {
    imp::mount_namespace(pid)
}

/// Whether the process is process 1 of its process namespace, which adopts its orphans; `None` when it is gone.
///
/// # Errors
/// When it cannot be read.
pub fn is_namespace_init(pid: u32) -> io::Result<Option<bool>> {
    imp::is_namespace_init(pid)
}

/// The control groups of a process as `/proc/PID/cgroup` names them, see cgroups(7): one path for each hierarchy, without
/// its controllers; `None` when the process is gone.
///
/// # Errors
/// When they cannot be read.
pub fn cgroups(pid: u32) -> io::Result<Option<Vec<String>>> {
    imp::cgroups(pid)
}

/// The words that a process was started with; a process may overwrite them. Lossy: invalid UTF-8 becomes U+FFFD. Empty for
/// a zombie and for a thread of the kernel; `None` when the process is gone.
///
/// # Errors
/// When they cannot be read.
pub fn command_line(pid: u32) -> io::Result<Option<Vec<String>>> {
    imp::command_line(pid)
}

/// The value of a variable that the process was started with; `None` when it has none, or is gone. Lossy, and subject to
/// what [`environment_has`] says of changes and of `execve`.
///
/// # Errors
/// As [`environment_has`].
pub fn environment_value(pid: u32, name: &str) -> io::Result<Option<String>> {
    imp::environment_value(pid, name)
}

/// Sends a signal to this process and to no other that was given its number since. False when it is gone, or a zombie.
///
/// # Errors
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others when the system refuses.
pub fn signal(entry: &ProcessEntry, signal: Signal) -> io::Result<bool> {
    imp::signal(entry, signal)
}
