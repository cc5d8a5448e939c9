//! Captured output: bounded while it is collected, and what the caller gets of it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use crate::StreamEnd;

/// How much of a stream is kept: its first and its last bytes. What lies between is counted and dropped.
///
/// The default keeps everything. A cut stream is flagged ([`CapturedOutput::is_truncated`]), never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutputLimit {
    head: usize,
    tail: usize,
}

impl OutputLimit {
    /// Everything is kept; memory grows with the output.
    pub const UNLIMITED: Self = Self { head: usize::MAX, tail: 0 };

    /// At most `total` bytes: one half from the beginning, the other from the end (the end gets an odd byte, because
    /// that is where a failing command says why).
    pub const fn bytes(total: usize) -> Self {
        Self { head: total / 2, tail: total - total / 2 }
    }

    /// At most `head` bytes from the beginning and `tail` bytes from the end.
    pub const fn head_and_tail(head: usize, tail: usize) -> Self {
        Self { head, tail }
    }

    /// The bytes kept from the beginning.
    pub const fn head(self) -> usize {
        self.head
    }

    /// The bytes kept from the end.
    pub const fn tail(self) -> usize {
        self.tail
    }

    /// Whether anything can be cut at all.
    pub const fn is_unlimited(self) -> bool {
        self.head == usize::MAX
    }
}

impl Default for OutputLimit {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

/// Collects a stream under an [`OutputLimit`], in memory that never exceeds it by more than the allocator's slack.
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
    /// An empty capture.
    pub fn new(limit: OutputLimit) -> Self {
        Self { limit, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    /// Takes the next bytes of the stream.
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
        // Exactly the bound, and not the doubling of it, is what "flat memory" means to the caller.
        if self.tail.capacity() < self.limit.tail && self.tail.len() + bytes.len() > self.tail.capacity() {
            let wanted = (self.tail.len() + bytes.len()).next_power_of_two().min(self.limit.tail);
            self.tail.reserve_exact(wanted - self.tail.len());
        }
        self.tail.extend(bytes);
    }

    /// How many bytes were pushed so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Ends the capture. `end` is how the stream ended: [`StreamEnd::Eof`] only where its own end was seen.
    pub fn finish(self, end: StreamEnd) -> CapturedOutput {
        let mut bytes = self.head;
        let kept_head = bytes.len();
        let (first, second) = self.tail.as_slices();
        bytes.reserve_exact(first.len() + second.len());
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(second);
        // Without a gap there is no place where it would be, and whole streams compare by their bytes alone.
        let head = if bytes.len() as u64 == self.total { bytes.len() } else { kept_head };
        CapturedOutput { bytes, head, total: self.total, end }
    }
}

/// What was kept of a stream, how long the stream was, and how it ended.
///
/// Bytes first: nothing is decoded, no line end is rewritten. [`text`](Self::text) is a view for people.
///
/// The default is an empty stream that came to its end.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CapturedOutput {
    bytes: Vec<u8>,
    head: usize,
    total: u64,
    end: StreamEnd,
}

impl CapturedOutput {
    /// A whole stream: it came to its own end ([`StreamEnd::Eof`]), and nothing of it was dropped.
    pub fn complete(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { head: bytes.len(), total: bytes.len() as u64, bytes, end: StreamEnd::Eof }
    }

    /// A stream of which `omitted` bytes between `head` and `tail` were dropped; with none it is
    /// [`complete`](Self::complete). For backends and recordings that have the parts and not the stream; who sees the stream
    /// go by takes a [`Capture`].
    pub fn truncated(head: impl Into<Vec<u8>>, omitted: u64, tail: &[u8]) -> Self {
        let mut bytes = head.into();
        let gap = bytes.len();
        bytes.extend_from_slice(tail);
        match (bytes.len() as u64).saturating_add(omitted) {
            total if total > bytes.len() as u64 => Self { bytes, head: gap, total, end: StreamEnd::Eof },
            _ => Self::complete(bytes),
        }
    }

    /// The same bytes of a stream that ended in this way; for backends and recordings.
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

    /// How the stream ended. With [`StreamEnd::Eof`] it is known to have come to its own end; with any other, more of it
    /// may have been written than arrived here.
    pub fn end(&self) -> StreamEnd {
        self.end
    }

    /// All kept bytes. When the stream was [cut](Self::is_truncated), the bytes before and after the gap stand
    /// together; [`head`](Self::head) and [`tail`](Self::tail) keep them apart.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All kept bytes, as for [`as_bytes`](Self::as_bytes).
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The kept bytes before the gap; all of them when there is none.
    pub fn head(&self) -> &[u8] {
        if self.is_truncated() { &self.bytes[..self.head] } else { &self.bytes }
    }

    /// The kept bytes after the gap; empty when there is none.
    pub fn tail(&self) -> &[u8] {
        if self.is_truncated() { &self.bytes[self.head..] } else { &[] }
    }

    /// The length of the stream in bytes, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many bytes were dropped.
    pub fn omitted(&self) -> u64 {
        self.total - self.bytes.len() as u64
    }

    /// Whether bytes were dropped.
    pub fn is_truncated(&self) -> bool {
        self.omitted() > 0
    }

    /// Whether the stream was empty.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The stream as text: invalid UTF-8 becomes U+FFFD, and a gap is marked `[… N bytes omitted …]` on a line of
    /// its own.
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

/// Whether the stream was this text: it came to its own end, and nothing of it was dropped.
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
