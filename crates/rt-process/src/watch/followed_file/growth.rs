//! The result of a read from a followed file.

/// The result of a read from a [`FollowedFile`](super::FollowedFile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Growth {
    /// This many bytes were read, at least one.
    Bytes(usize),
    /// Bytes between the previous ones and the next ones were lost before they could be read, or
    /// may have been.
    Gap,
    /// `until` ended without new bytes.
    Idle,
    /// The writer has ended, and all that it wrote was read.
    End,
}
