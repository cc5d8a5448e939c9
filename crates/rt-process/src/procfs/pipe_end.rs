//! An end of a pipe, as the descriptors of a process show it.

/// An end of a pipe that a process holds open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PipeEnd {
    /// The descriptor's number in the process.
    pub fd: u32,
    /// The pipe, by its inode number: equal numbers are the same pipe.
    pub pipe: u64,
    /// Whether it is the end that is written to.
    pub is_written: bool,
}
