//! Log lines, and options for reading a log.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::OutputStream;

/// A line of a log, without its line end.
///
/// Lines of one output keep their order. The order between the two outputs is that of the engine's
/// own log reader. podman writes them to two pipes, so lines that were written close together may
/// be swapped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LogLine {
    /// The output that it was written to.
    pub stream: OutputStream,
    /// Its bytes, without the newline, and without the carriage return that a terminal writes
    /// before it.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::bytes"))]
    pub bytes: Vec<u8>,
    /// How many bytes were dropped from the end of an over-long line; 0 for a whole line.
    #[cfg_attr(feature = "serde", serde(default))]
    pub omitted: u64,
    /// When the engine read its first bytes, if [`LogOptions::timestamps`] is set. Also `None` if
    /// the engine does not report it; the docs of each backend say when.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub timestamp: Option<SystemTime>,
}

impl LogLine {
    /// Returns a whole line; for backends and tests.
    pub fn new(stream: OutputStream, bytes: impl Into<Vec<u8>>) -> Self {
        Self { stream, bytes: bytes.into(), omitted: 0, timestamp: None }
    }

    /// Returns the line as text. Invalid UTF-8 becomes U+FFFD, and a truncated line ends with `[… N
    /// bytes omitted]`.
    pub fn text(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.omitted == 0 {
            text
        } else {
            Cow::Owned(format!("{text}[… {} bytes omitted]", self.omitted))
        }
    }
}

/// Options for reading a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct LogOptions {
    /// Whether to wait for more lines until the container stops.
    pub follow: bool,
    /// The number of last lines to read, counted over both outputs; `None` for all. The docs of
    /// each backend say how it counts a line that the engine stores in pieces, and from which
    /// number on a tail is the whole log.
    pub tail: Option<u64>,
    /// If set, only lines since then. Clocks may be set: with `follow`, lines that are written from
    /// now on are always delivered.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub since: Option<SystemTime>,
    /// Whether each line has its time.
    pub timestamps: bool,
    /// The output to read; `None` for both. Lines of the other one are removed after
    /// [`tail`](Self::tail) has counted them.
    pub stream: Option<OutputStream>,
    /// The longest line in bytes. The rest of a longer line is dropped and counted. Only the line's
    /// own bytes count, not what the engine writes before it, such as the time.
    pub max_line_bytes: usize,
}

impl LogOptions {
    /// The default limit of a line: 1 MiB.
    pub const DEFAULT_MAX_LINE_BYTES: usize = 1 << 20;

    /// Returns options for the whole log so far.
    pub fn new() -> Self {
        Self {
            follow: false,
            tail: None,
            since: None,
            timestamps: false,
            stream: None,
            max_line_bytes: Self::DEFAULT_MAX_LINE_BYTES,
        }
    }

    /// Waits for more lines until the container stops.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Reads only the last `lines` lines.
    #[must_use]
    pub fn tail(mut self, lines: u64) -> Self {
        self.tail = Some(lines);
        self
    }

    /// Reads only lines since `time`.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Adds its time to each line.
    #[must_use]
    pub fn timestamps(mut self) -> Self {
        self.timestamps = true;
        self
    }

    /// Reads only lines of this output. A second call replaces the first.
    #[must_use]
    pub fn only(mut self, stream: OutputStream) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Returns whether lines of this output are read; for backends.
    pub fn wants(&self, stream: OutputStream) -> bool {
        self.stream.is_none_or(|only| only == stream)
    }

    /// Sets the limit of a line, in bytes.
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The result of watching a log for a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[must_use = "a deadline and an ended log are answers, not errors"]
pub enum Readiness {
    /// This line was accepted.
    Ready(String),
    /// The deadline passed first.
    TimedOut,
    /// The log ended first, because the container has stopped.
    Ended,
}

impl Readiness {
    /// Returns whether a line was accepted.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}
