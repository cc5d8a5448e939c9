//! One process of the process table.

/// One process, as it was when it was read.
///
/// `pid` and `start_time` together name one process for as long as the machine runs; a `pid` alone is given again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProcessEntry {
    /// Its number, in the process namespace of the mounted `/proc`.
    pub pid: u32,
    /// Its parent's number; 0 for one that has none in this namespace.
    pub parent: u32,
    /// Its process group; 0 for one of another namespace.
    pub group: u32,
    /// Its session; 0 for one of another namespace.
    pub session: u32,
    /// When it started, in clock ticks since the machine did: field 22 of `/proc/PID/stat`, see proc(5).
    pub start_time: u64,
    /// Its name (comm): at most 15 bytes, which it may have chosen itself. Lossy: invalid UTF-8 becomes U+FFFD.
    pub name: String,
    /// Whether it has ended, all threads of it, and only waits to be reaped.
    pub is_zombie: bool,
}
