//! A pipe end among the descriptors of a process.

/// A pipe end that a process holds open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PipeEnd {
    /// The descriptor's number in the process.
    pub fd: u32,
    /// The pipe, by its inode number: equal numbers are the same pipe.
    pub pipe: u64,
    /// Whether it is the write end.
    pub is_written: bool,
}
