//! Captured output, and the limit under which it is collected.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use crate::StreamEnd;

/// How much of a stream is kept: a number of bytes from its beginning and from its end. The bytes
/// in between are counted and dropped.
///
/// The default keeps everything. A truncated stream is no error; [`CapturedOutput::is_truncated`]
/// reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutputLimit {
    head: usize,
    tail: usize,
}

impl OutputLimit {
    /// Keeps everything. Memory grows with the output.
    pub const UNLIMITED: Self = Self { head: usize::MAX, tail: 0 };

    /// Keeps at most `total` bytes: half from the beginning, half from the end. An odd byte goes to
    /// the end, where a failing command usually says why.
    pub const fn bytes(total: usize) -> Self {
        Self { head: total / 2, tail: total - total / 2 }
    }

    /// Keeps at most `head` bytes from the beginning and `tail` bytes from the end.
    pub const fn head_and_tail(head: usize, tail: usize) -> Self {
        Self { head, tail }
    }

    /// Returns how many bytes are kept from the beginning.
    pub const fn head(self) -> usize {
        self.head
    }

    /// Returns how many bytes are kept from the end.
    pub const fn tail(self) -> usize {
        self.tail
    }

    /// Returns whether everything is kept.
    pub const fn is_unlimited(self) -> bool {
        self.head == usize::MAX
    }
}

impl Default for OutputLimit {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

/// Collects a stream under an [`OutputLimit`]. Its memory never exceeds the limit by more than the
/// allocator's overhead.
///
/// ```
/// use rt_protocol::{Capture, OutputLimit, StreamEnd};
///
/// let mut capture = Capture::new(OutputLimit::bytes(6));
/// capture.push(b"hello, ");
/// capture.push(b"world");
/// let output = capture.finish(StreamEnd::Eof);
/// assert_eq!((output.head(), output.tail()), (&b"hel"[..], &b"rld"[..]));
/// assert_eq!((output.total(), output.omitted()), (12, 6));
/// ```
#[derive(Debug)]
pub struct Capture {
    limit: OutputLimit,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Capture {
    /// Returns an empty capture.
    pub fn new(limit: OutputLimit) -> Self {
        Self { limit, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    /// Adds the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.limit.head - self.head.len();
        if room > 0 {
            let (first, rest) = bytes.split_at(room.min(bytes.len()));
            self.head.extend_from_slice(first);
            bytes = rest;
        }
        if bytes.len() >= self.limit.tail {
            self.tail.clear();
            bytes = &bytes[bytes.len() - self.limit.tail..];
        } else {
            let surplus = (self.tail.len() + bytes.len()).saturating_sub(self.limit.tail);
            self.tail.drain(..surplus);
        }
        // The memory grows to exactly the limit, and not to twice as much.
        if self.tail.capacity() < self.limit.tail && self.tail.len() + bytes.len() > self.tail.capacity() {
            let wanted = (self.tail.len() + bytes.len()).next_power_of_two().min(self.limit.tail);
            self.tail.reserve_exact(wanted - self.tail.len());
        }
        self.tail.extend(bytes);
    }

    /// Returns how many bytes were pushed so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns how many bytes were dropped so far.
    pub(crate) fn omitted(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// Ends the capture. Pass [`StreamEnd::Eof`] only if the stream's own end was seen.
    pub fn finish(self, end: StreamEnd) -> CapturedOutput {
        let mut bytes = self.head;
        let kept_head = bytes.len();
        let (first, second) = self.tail.as_slices();
        bytes.reserve_exact(first.len() + second.len());
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(second);
        // Without a gap, the place of the gap must not matter: complete streams compare by bytes.
        let head = if bytes.len() as u64 == self.total { bytes.len() } else { kept_head };
        CapturedOutput { bytes, head, total: self.total, end }
    }
}

/// The kept bytes of a stream, its length, and how it ended.
///
/// Nothing is decoded, and no line end is changed. [`text`](Self::text) is a view for people.
///
/// The default is an empty stream that reached its end.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CapturedOutput {
    bytes: Vec<u8>,
    head: usize,
    total: u64,
    end: StreamEnd,
}

impl CapturedOutput {
    /// Returns a stream that reached its own end ([`StreamEnd::Eof`]), with all of its bytes.
    pub fn complete(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { head: bytes.len(), total: bytes.len() as u64, bytes, end: StreamEnd::Eof }
    }

    /// Returns a stream of which `omitted` bytes between `head` and `tail` were dropped; without
    /// any it is [`complete`](Self::complete).
    ///
    /// For backends and recordings that only have the parts. To truncate a stream that arrives, use
    /// a [`Capture`].
    pub fn truncated(head: impl Into<Vec<u8>>, omitted: u64, tail: &[u8]) -> Self {
        let mut bytes = head.into();
        let gap = bytes.len();
        bytes.extend_from_slice(tail);
        match (bytes.len() as u64).saturating_add(omitted) {
            total if total > bytes.len() as u64 => Self { bytes, head: gap, total, end: StreamEnd::Eof },
            _ => Self::complete(bytes),
        }
    }

    /// Returns the same bytes with another end of the stream; for backends and recordings.
    ///
    /// ```
    /// use rt_protocol::{CapturedOutput, StreamEnd};
    ///
    /// let begun = CapturedOutput::complete("1\n2\n").with_end(StreamEnd::Stopped);
    /// assert_ne!(begun, CapturedOutput::complete("1\n2\n"));
    /// ```
    #[must_use]
    pub fn with_end(mut self, end: StreamEnd) -> Self {
        self.end = end;
        self
    }

    /// Returns how the stream ended. With any other end than [`StreamEnd::Eof`], the command may
    /// have written more than arrived.
    pub fn end(&self) -> StreamEnd {
        self.end
    }

    /// Returns all kept bytes. If the stream is [truncated](Self::is_truncated), the bytes before
    /// and after the gap are joined; [`head`](Self::head) and [`tail`](Self::tail) separate them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns all kept bytes, as [`as_bytes`](Self::as_bytes) does.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the kept bytes before the gap; all of them if there is none.
    pub fn head(&self) -> &[u8] {
        if self.is_truncated() { &self.bytes[..self.head] } else { &self.bytes }
    }

    /// Returns the kept bytes after the gap; empty if there is none.
    pub fn tail(&self) -> &[u8] {
        if self.is_truncated() { &self.bytes[self.head..] } else { &[] }
    }

    /// Returns the length of the stream in bytes, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns how many bytes were dropped.
    pub fn omitted(&self) -> u64 {
        self.total - self.bytes.len() as u64
    }

    /// Returns whether bytes were dropped.
    pub fn is_truncated(&self) -> bool {
        self.omitted() > 0
    }

    /// Returns whether the stream was empty.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Returns the stream as text. Invalid UTF-8 becomes U+FFFD, and a gap becomes `[… N bytes
    /// omitted …]` on a line of its own.
    pub fn text(&self) -> Cow<'_, str> {
        if !self.is_truncated() {
            return String::from_utf8_lossy(&self.bytes);
        }
        Cow::Owned(format!(
            "{}\n[… {} bytes omitted …]\n{}",
            String::from_utf8_lossy(self.head()),
            self.omitted(),
            String::from_utf8_lossy(self.tail())
        ))
    }
}

impl Default for CapturedOutput {
    fn default() -> Self {
        Self::complete([])
    }
}

impl fmt::Debug for CapturedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedOutput")
            .field("text", &self.text())
            .field("total", &self.total)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CapturedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Equal if the stream reached its own end, nothing was dropped, and its bytes are this text.
impl PartialEq<str> for CapturedOutput {
    fn eq(&self, other: &str) -> bool {
        self.end == StreamEnd::Eof && !self.is_truncated() && self.bytes == other.as_bytes()
    }
}

impl PartialEq<&str> for CapturedOutput {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn head_and_tail_are_those_of_the_stream_however_it_was_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            head in 0usize..50,
            tail in 0usize..50,
        ) {
            let stream = chunks.concat();
            let mut capture = Capture::new(OutputLimit::head_and_tail(head, tail));
            for chunk in &chunks {
                capture.push(chunk);
            }
            let output = capture.finish(StreamEnd::Eof);
            prop_assert_eq!(output.total(), stream.len() as u64);
            if stream.len() <= head + tail {
                prop_assert_eq!(output.as_bytes(), &stream[..]);
                prop_assert!(!output.is_truncated());
            } else {
                prop_assert_eq!(output.head(), &stream[..head]);
                prop_assert_eq!(output.tail(), &stream[stream.len() - tail..]);
                prop_assert_eq!(output.omitted(), (stream.len() - head - tail) as u64);
            }
        }
    }

    #[test]
    fn whole_streams_are_equal_whatever_the_limit_was() {
        let mut capture = Capture::new(OutputLimit::bytes(10));
        capture.push(b"abcdefgh");
        assert_eq!(capture.finish(StreamEnd::Eof), CapturedOutput::complete("abcdefgh"));
    }

    #[test]
    fn parts_put_together_equal_the_capture_that_they_came_from() {
        for total in [0, 4, 5, 6, 1000] {
            let mut capture = Capture::new(OutputLimit::head_and_tail(2, 3));
            capture.push(&vec![7; total]);
            let output = capture.finish(StreamEnd::Eof);
            assert_eq!(CapturedOutput::truncated(output.head(), output.omitted(), output.tail()), output);
        }
        assert_eq!(CapturedOutput::truncated("ab", u64::MAX, b"c").total(), u64::MAX);
    }

    #[test]
    fn equality_includes_the_end() {
        let ended = |end| {
            let mut capture = Capture::new(OutputLimit::UNLIMITED);
            capture.push(b"abc");
            capture.finish(end)
        };
        assert_eq!(ended(StreamEnd::Eof), CapturedOutput::complete("abc"));
        assert_eq!(ended(StreamEnd::Eof), "abc");
        for end in [StreamEnd::LeftOpen, StreamEnd::Stopped] {
            assert_ne!(ended(end), CapturedOutput::complete("abc"));
            assert_ne!(ended(end), "abc");
            assert_eq!((ended(end).end(), ended(end)), (end, CapturedOutput::complete("abc").with_end(end)));
        }
        assert_eq!(CapturedOutput::default(), "");
    }

    #[test]
    fn memory_stays_at_the_limit() {
        let mut capture = Capture::new(OutputLimit::bytes(1000));
        for _ in 0..10_000 {
            capture.push(&[7; 333]);
        }
        assert!(capture.head.capacity() + capture.tail.capacity() <= 2 * 1000, "{capture:?}");
        assert_eq!(capture.finish(StreamEnd::Eof).total(), 3_330_000);
    }

    #[test]
    fn a_cut_text_says_how_much_is_missing() {
        let mut capture = Capture::new(OutputLimit::bytes(2));
        capture.push(b"abcdef");
        assert_eq!(capture.finish(StreamEnd::Eof).text(), "a\n[… 4 bytes omitted …]\nf");
    }
}
