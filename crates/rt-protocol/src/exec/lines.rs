//! Lines of a command's output, as a sink hands them to a closure of the caller.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A line of a command's output, see [`Sink::lines`](crate::Sink::lines).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Line {
    /// Its bytes, without the newline, and without the carriage return that a terminal writes
    /// before it.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: LineEnd,
}

/// How a [`Line`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineEnd {
    /// With a newline.
    Newline,
    /// The line is longer than the limit. It continues in the next [`Line`].
    Continued,
    /// The output ended, or the command was ended, without a newline.
    OutputEnd,
}

impl Line {
    /// Returns the line as text. Invalid UTF-8 becomes U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Splits an output into lines and hands them to the caller's closure; for backends.
///
/// They [write](Write) the output, and call [`finish`](Self::finish) at its end. Dropping it also
/// finishes it. The closure may block. Its panics become errors.
pub struct LineSink<'a> {
    each: Box<dyn FnMut(Line) + Send + 'a>,
    max_bytes: usize,
    /// The bytes of a line that has not ended: at most `max_bytes`, and a carriage return, which
    /// may belong to a newline that has not arrived.
    line: Vec<u8>,
    has_panicked: bool,
}

impl<'a> LineSink<'a> {
    pub(crate) fn new(max_bytes: usize, each: impl FnMut(Line) + Send + 'a) -> Self {
        Self { each: Box::new(each), max_bytes: max_bytes.max(1), line: Vec::new(), has_panicked: false }
    }

    /// Hands over a last line without a newline, if there is one.
    ///
    /// # Errors
    /// If the closure panics.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.has_panicked || self.line.is_empty() {
            return Ok(());
        }
        if self.line.len() > self.max_bytes {
            self.hand_over_piece()?;
        }
        self.hand_over(LineEnd::OutputEnd)
    }

    /// Adds bytes without a newline.
    fn extend(&mut self, mut part: &[u8]) -> io::Result<()> {
        while !part.is_empty() {
            let room = self.max_bytes.saturating_sub(self.line.len());
            let taken =
                if self.line.len() == self.max_bytes && part == b"\r" { 1 } else { room.min(part.len()) };
            self.line.extend_from_slice(&part[..taken]);
            part = &part[taken..];
            if taken == 0 {
                self.hand_over_piece()?;
            }
        }
        Ok(())
    }

    fn hand_over_piece(&mut self) -> io::Result<()> {
        let rest = self.line.split_off(self.max_bytes);
        self.hand_over(LineEnd::Continued)?;
        self.line = rest;
        Ok(())
    }

    fn hand_over(&mut self, end: LineEnd) -> io::Result<()> {
        let line = Line { bytes: std::mem::take(&mut self.line), end };
        catch_unwind(AssertUnwindSafe(|| (self.each)(line))).map_err(|_| {
            self.has_panicked = true;
            panicked()
        })
    }
}

fn panicked() -> io::Error {
    io::Error::other("the closure for its lines panicked")
}

impl Write for LineSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_panicked {
            return Err(panicked());
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(whole) = line.strip_suffix(b"\n") else {
                self.extend(line)?;
                break;
            };
            self.extend(whole)?;
            self.line.pop_if(|last| *last == b'\r');
            self.hand_over(LineEnd::Newline)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineSink<'_> {
    fn drop(&mut self) {
        // Without a call that could report it.
        let _ = self.finish();
    }
}

/// Omits the line, which may contain anything.
impl fmt::Debug for LineSink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineSink").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(max_bytes: usize, chunks: &[&[u8]]) -> Vec<(String, LineEnd)> {
        let mut lines = Vec::new();
        let mut sink = LineSink::new(max_bytes, |line| lines.push((line.text().into_owned(), line.end)));
        for chunk in chunks {
            sink.write_all(chunk).unwrap();
        }
        sink.finish().unwrap();
        drop(sink);
        lines
    }

    #[test]
    fn lines_say_how_they_ended() {
        let line = |text: &str, end| (text.to_owned(), end);
        let [newline, continued, output_end] = [LineEnd::Newline, LineEnd::Continued, LineEnd::OutputEnd];
        assert_eq!(
            lines(9, &[b"one\n\ntw", b"o\r", b"\nend\r"]),
            [line("one", newline), line("", newline), line("two", newline), line("end\r", output_end),]
        );
        assert_eq!(
            lines(3, &[b"abc\nabc\r", b"\nabcdefg\nabc\r"]),
            [
                line("abc", newline),
                line("abc", newline),
                line("abc", continued),
                line("def", continued),
                line("g", newline),
                line("abc", continued),
                line("\r", output_end),
            ]
        );
        assert_eq!(lines(0, &[b"ab"]), [line("a", continued), line("b", output_end)]);
        assert_eq!(lines(9, &[]), []);
    }

    #[test]
    fn a_panic_is_an_error_and_the_closure_is_not_called_again() {
        let mut calls = 0;
        let mut sink = LineSink::new(9, |_| {
            calls += 1;
            panic!("the closure's own")
        });
        assert!(sink.write_all(b"one\ntwo\nthree").is_err());
        assert!(sink.write_all(b"four\n").is_err());
        assert!(sink.finish().is_ok());
        drop(sink);
        assert_eq!(calls, 1);
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_stream_however_it_was_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(b'\n'..b'\x0f', 0..9), 0..12),
            max_bytes in 1_usize..6,
        ) {
            let stream = String::from_utf8(chunks.concat()).unwrap();
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let lines = lines(max_bytes, &chunks);
            prop_assert!(lines.iter().all(|(line, _)| line.len() <= max_bytes));
            let joined: String = lines
                .iter()
                .flat_map(|(line, end)| [line.as_str(), if *end == LineEnd::Newline { "\n" } else { "" }])
                .collect();
            prop_assert_eq!(joined, stream.replace("\r\n", "\n"));
            // A piece is only cut where the line goes on.
            for pair in lines.windows(2) {
                if pair[0].1 == LineEnd::Continued {
                    prop_assert!(pair[0].0.len() == max_bytes && !pair[1].0.is_empty());
                }
            }
        }
    }
}
