//! The processes of this machine as `/proc` shows them, and signals to exactly the intended
//! process.
//!
//! For processes that are not our children, such as commands inside a container, seen from the
//! host. The caller decides how they are related and which to end. Linux only; elsewhere every
//! function returns [`Unsupported`](std::io::ErrorKind::Unsupported).

use std::io;

use rt_protocol::Signal;

mod pipe_end;
#[cfg(target_os = "linux")]
mod proc;
mod process_entry;

pub use pipe_end::PipeEnd;
#[cfg(target_os = "linux")]
pub(crate) use proc::{open_pidfd, pidfd_of};
pub use process_entry::ProcessEntry;

/// Declares functions that `proc` has on Linux, and that are unsupported elsewhere.
macro_rules! of_linux {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        #[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "only Linux has them"))]
        pub fn $name($($argument: $kind),*) -> io::Result<$answer> {
            #[cfg(target_os = "linux")]
            return proc::$name($($argument),*);
            #[cfg(not(target_os = "linux"))]
            return Err(io::ErrorKind::Unsupported.into());
        }
    )*};
}

of_linux! {
    /// Returns all processes, in no particular order.
    ///
    /// Processes start and end while this reads: one that ends is left out, one that starts may be
    /// missed. If `/proc` hides other users' processes (`hidepid`), those are left out.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    fn snapshot() -> Vec<ProcessEntry>;

    /// Returns one process; `None` if none has this number.
    ///
    /// # Errors
    /// If it cannot be read.
    fn entry(pid: u32) -> Option<ProcessEntry>;

    /// Returns whether the process was started with exactly `name=value` in its environment; `None`
    /// if the process is gone or a zombie.
    ///
    /// Changes that the process made to its own environment are not visible. `Some(false)` for a
    /// kernel thread, which has no environment. Also for an instant during every `execve`, when the
    /// old environment is gone and the new one does not exist yet: a search for processes by their
    /// environment must look twice.
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others
    /// if it cannot be read.
    fn environment_has(pid: u32, name: &str, value: &str) -> Option<bool>;

    /// Returns the pid namespace of a process, by its inode number: equal numbers are the same
    /// namespace. `None` if the process is gone.
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others
    /// if it cannot be read.
    fn pid_namespace(pid: u32) -> Option<u64>;

    /// Returns the numbers of the processes that may have been started after the process with this
    /// number. Numbers are given in order, and start again after the highest.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    fn pids_since(pid: u32) -> Vec<u32>;

    /// Returns the pipe ends that the process holds open; `None` if it is gone.
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others
    /// if it cannot be read.
    fn pipe_ends(pid: u32) -> Option<Vec<PipeEnd>>;

    /// Returns whether a signal or a tracer has stopped the process; false if it is gone.
    ///
    /// # Errors
    /// If it cannot be read.
    fn is_stopped(pid: u32) -> bool;

    /// Returns whether this very process still runs: it is not exiting, a zombie or gone. The first
    /// process of a pid namespace can be exiting for a while: it ends after all others of the
    /// namespace.
    ///
    /// # Errors
    /// If it cannot be read.
    fn is_running(process: &ProcessEntry) -> bool;

    /// Returns whether the process has executed a program since it was forked. The first process of
    /// a container has not for a moment after its start: it is still the OCI runtime, with rights
    /// that the container's program does not get. `None` if the process is gone.
    ///
    /// # Errors
    /// If it cannot be read.
    fn has_executed(pid: u32) -> Option<bool>;

    /// Returns whether KILL is pending for the process, or it is exiting or gone.
    /// Such a process runs no more instructions of its program, and ends as soon as the system lets
    /// it. It cannot end while it waits in the kernel for a device, or while a control group (v1)
    /// keeps it frozen.
    ///
    /// # Errors
    /// If it cannot be read.
    fn is_being_killed(pid: u32) -> bool;

    /// Returns the capabilities that a process and its children can ever have, one bit for each
    /// number: the bounding set of capabilities(7). `None` if the process is gone.
    ///
    /// # Errors
    /// If it cannot be read.
    fn capability_bounds(pid: u32) -> Option<u64>;

    /// Returns the mount namespace of a process, in the form of [`pid_namespace`]. Each container
    /// has its own, even if it shares every other namespace.
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user; others
    /// if it cannot be read.
    fn mount_namespace(pid: u32) -> Option<u64>;

    /// Returns whether the process is process 1 of its pid namespace, which adopts orphans; `None`
    /// if it is gone.
    ///
    /// # Errors
    /// If it cannot be read.
    fn is_namespace_init(pid: u32) -> Option<bool>;

    /// Returns the control groups of a process as in `/proc/PID/cgroup`, see cgroups(7): one path
    /// for each hierarchy, without its controllers. `None` if the process is gone.
    ///
    /// # Errors
    /// If they cannot be read.
    fn cgroups(pid: u32) -> Option<Vec<String>>;

    /// Returns the command line that a process was started with; the process may have overwritten
    /// it. Lossy: invalid UTF-8 becomes U+FFFD. Empty for a zombie and for a kernel thread; `None`
    /// if the process is gone.
    ///
    /// # Errors
    /// If it cannot be read.
    fn command_line(pid: u32) -> Option<Vec<String>>;

    /// Returns the value of an environment variable that the process was started with; `None` if it
    /// has none, or is gone. Lossy. Changes and `execve` affect it as in [`environment_has`].
    ///
    /// # Errors
    /// The same as [`environment_has`].
    fn environment_value(pid: u32, name: &str) -> Option<String>;

    /// Sends a signal to this process and never to a later one with the same number. Returns false
    /// if it is gone or a zombie.
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a process of another user;
    /// [`Unsupported`](io::ErrorKind::Unsupported) for a real-time signal; others if the system
    /// refuses.
    fn signal(entry: &ProcessEntry, signal: Signal) -> bool;
}
