//! One record of conmon's log file: `2026-11-28T19:17:40.840369628+00:00 stdout F text`.
//!
//! This is the CRI's format (Kubernetes, `kuberuntime/logs`): the time, the output, `F` for the end
//! of a line or `P` for a part of one, and the text, separated by one space each.

use std::ops::Range;
use std::time::SystemTime;

use rt_protocol::OutputStream;

/// The positions of a record's parts in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    time: Range<usize>,
    pub(crate) output: OutputStream,
    /// Whether it ends the line.
    pub(crate) is_end: bool,
    pub(crate) text: Range<usize>,
}

impl Record {
    /// Parses a record without its newline; `None` if it is not one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(4, |byte| *byte == b' ');
        let time = parts.next()?.len();
        let output = match parts.next()? {
            b"stdout" => OutputStream::Stdout,
            b"stderr" => OutputStream::Stderr,
            _ => return None,
        };
        // The CRI allows more tags after the first one, separated by colons.
        let is_end = match parts.next()?.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        let text = parts.next()?.len();
        Some(Self { time: 0..time, output, is_end, text: bytes.len() - text..bytes.len() })
    }

    /// Returns the record with its positions moved by `count` bytes.
    pub(crate) fn after(mut self, count: usize) -> Self {
        for range in [&mut self.time, &mut self.text] {
            *range = range.start + count..range.end + count;
        }
        self
    }

    /// Returns when it was written, parsed from its bytes.
    pub(crate) fn time(&self, bytes: &[u8]) -> Option<SystemTime> {
        let text = std::str::from_utf8(bytes.get(self.time.clone())?).ok()?;
        text.parse::<jiff::Timestamp>().ok()?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Option<(OutputStream, bool, &str)> {
        let record = Record::read(line.as_bytes())?;
        assert!(record.time(line.as_bytes()).is_some(), "{line}");
        let moved = record.clone().after(3);
        assert_eq!(moved.time(format!("xyz{line}").as_bytes()), record.time(line.as_bytes()));
        Some((record.output, record.is_end, &line[record.text]))
    }

    #[test]
    fn records_are_read() {
        use OutputStream::{Stderr, Stdout};
        for time in ["2026-11-28T19:17:40.840369628+00:00", "2026-11-28T21:17:40.840369628+02:00"] {
            assert_eq!(read(&format!("{time} stdout F a b")), Some((Stdout, true, "a b")));
            assert_eq!(read(&format!("{time} stderr P  a ")), Some((Stderr, false, " a ")));
            assert_eq!(read(&format!("{time} stdout F ")), Some((Stdout, true, "")));
            assert_eq!(read(&format!("{time} stdout F:x a")), Some((Stdout, true, "a")));
            for none in
                ["", " stdout", " stdout F", " stdin F a", " stdout G a", "stdout F a", "  stdout F a"]
            {
                assert_eq!(read(&format!("{time}{none}")), None, "{none}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(record) = Record::read(&bytes) {
                let _ = record.time(&bytes);
            }
        }
    }
}
