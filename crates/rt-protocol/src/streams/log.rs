//! Log lines, and what may be asked of a log.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::OutputStream;

/// One line of a log, without its line end.
///
/// Lines of one stream keep their order. How lines of the two streams interleave is as good as the engine's own log
/// reader delivers it: podman writes them to two pipes, so lines that were written close together may swap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LogLine {
    /// Which output it came from.
    pub stream: OutputStream,
    /// Its bytes, without the newline, nor the carriage return that a terminal writes before it.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::bytes"))]
    pub bytes: Vec<u8>,
    /// How many bytes of an over-long line were dropped from its end; 0 for a whole line.
    #[cfg_attr(feature = "serde", serde(default))]
    pub omitted: u64,
    /// When it was written, when [`LogOptions::timestamps`] asked for it: when the engine had read the first of it. `None`
    /// also where the engine does not tell; its backend says when that is.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub timestamp: Option<SystemTime>,
}

impl LogLine {
    /// A whole line; for backends and tests.
    pub fn new(stream: OutputStream, bytes: impl Into<Vec<u8>>) -> Self {
        Self { stream, bytes: bytes.into(), omitted: 0, timestamp: None }
    }

    /// The line as text: invalid UTF-8 becomes U+FFFD, and a cut line ends with `[… N bytes omitted]`.
    pub fn text(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.omitted == 0 {
            text
        } else {
            Cow::Owned(format!("{text}[… {} bytes omitted]", self.omitted))
        }
    }
}

/// What is asked of a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct LogOptions {
    /// Whether to wait for further lines until the container stops.
    pub follow: bool,
    /// Only the last lines, counted over both streams; `None` is all. What an engine makes of a line that it keeps in
    /// pieces is told by its backend, as is the number beyond which a tail is all.
    pub tail: Option<u64>,
    /// Only lines written since then. A follower also gets what is written after it began, whatever its time: clocks are
    /// set.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::time::optional"))]
    pub since: Option<SystemTime>,
    /// Whether each line carries its time.
    pub timestamps: bool,
    /// Only lines of this output; `None` is both. Lines of the other one are left out after [`tail`](Self::tail) has
    /// counted them.
    pub stream: Option<OutputStream>,
    /// The longest line that is kept whole, in bytes; the rest of a longer one is dropped and counted. Of the line's own
    /// bytes: what an engine writes before it, such as its time, does not count.
    pub max_line_bytes: usize,
}

impl LogOptions {
    /// The default bound of a line: 1 MiB.
    pub const DEFAULT_MAX_LINE_BYTES: usize = 1 << 20;

    /// What has been written so far, whole.
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

    /// Also waits for further lines.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Only the last `lines` lines.
    #[must_use]
    pub fn tail(mut self, lines: u64) -> Self {
        self.tail = Some(lines);
        self
    }

    /// Only lines written since `time`.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Each line carries its time.
    #[must_use]
    pub fn timestamps(mut self) -> Self {
        self.timestamps = true;
        self
    }

    /// Only lines of this output. The last of two calls counts.
    #[must_use]
    pub fn only(mut self, stream: OutputStream) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Whether lines of this output are wanted; for backends.
    pub fn wants(&self, stream: OutputStream) -> bool {
        self.stream.is_none_or(|only| only == stream)
    }

    /// Another bound for a line, in bytes.
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

/// What watching a log for a sign came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[must_use = "a deadline and an ended log are answers, not errors"]
pub enum Readiness {
    /// This line was the sign.
    Ready(String),
    /// The deadline passed first.
    TimedOut,
    /// The log ended first: the container has stopped.
    Ended,
}

impl Readiness {
    /// Whether the sign was seen.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}
