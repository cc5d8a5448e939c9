//! What reading a followed file came to.

/// What reading a [`FollowedFile`](super::FollowedFile) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Growth {
    /// So many bytes were read, at least one.
    Bytes(usize),
    /// Bytes between those that were read before and those that come next were gone before they could be read, or may
    /// have been.
    Gap,
    /// The time given for this read is over.
    Idle,
    /// The writer has ended, and all that it wrote was read.
    End,
}
