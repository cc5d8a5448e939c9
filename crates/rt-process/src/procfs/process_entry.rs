//! One process of the process table.

/// One process, as it was when it was read.
///
/// `pid` and `start_time` together identify one process until the machine restarts; a `pid` alone
/// is reused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProcessEntry {
    /// Its process id, in the pid namespace of the mounted `/proc`.
    pub pid: u32,
    /// Its parent's process id; 0 if it has none in this namespace.
    pub parent: u32,
    /// Its process group; 0 if it is in another namespace.
    pub group: u32,
    /// Its session; 0 if it is in another namespace.
    pub session: u32,
    /// When it started, in clock ticks since the boot: field 22 of `/proc/PID/stat`, see proc(5).
    pub start_time: u64,
    /// Its name (comm): at most 15 bytes, which it may have chosen itself. Lossy: invalid UTF-8
    /// becomes U+FFFD.
    pub name: String,
    /// Whether it has ended with all its threads, and only waits to be reaped.
    pub is_zombie: bool,
}
