//! A text with its escapes decoded, which knows where each byte came from.

use std::ops::Range;

use super::escape::{Escape, Scheme};

/// Bytes without their escapes. In percent-decoded text each blank becomes `+`. A text may mix both
/// ways to write a blank, and one pattern then covers all mixtures.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// The number of bytes that more text can no longer change.
    pub(super) certain_len: usize,
    /// In order of position.
    spans: Vec<EscapeSpan>,
}

/// The position of an escape.
struct EscapeSpan {
    /// The position and number of its bytes in the decoded text.
    at: usize,
    count: usize,
    /// The position and number of its bytes in the original text.
    from: usize,
    length: usize,
}

impl Decoded {
    /// Decodes the escapes of one scheme. More text can no longer change the first `certain` bytes.
    /// `None` if the text has no escape, not even an incomplete one at its end.
    pub(super) fn of(scheme: Scheme, text: &[u8], certain: usize) -> Option<Self> {
        let mut decoded = Self { bytes: Vec::new(), certain_len: 0, spans: Vec::new() };
        let (mut kept, mut begun) = (0, None);
        for from in memchr::memchr_iter(scheme.lead_byte(), text) {
            if from < kept {
                // Inside the previous escape.
                continue;
            }
            match scheme.read(&text[from..]) {
                Escape::Complete(stands_for, length) => {
                    decoded.bytes.extend_from_slice(&text[kept..from]);
                    let (at, count) = (decoded.bytes.len(), stands_for.len());
                    decoded.spans.push(EscapeSpan { at, count, from, length });
                    decoded.bytes.extend(stands_for);
                    kept = from + length;
                }
                Escape::Incomplete => begun = begun.or(Some(from)),
                Escape::None => {}
            }
        }
        if decoded.spans.is_empty() && begun.is_none() {
            return None;
        }
        decoded.bytes.extend_from_slice(&text[kept..]);
        decoded.certain_len = decoded.decoded_offset(certain.min(begun.unwrap_or(text.len())));
        if scheme == Scheme::Percent {
            for byte in &mut decoded.bytes {
                *byte = if *byte == b' ' { b'+' } else { *byte };
            }
        }
        Some(decoded)
    }

    /// Returns whether any byte of the range came from an escape.
    pub(super) fn has_escape(&self, range: &Range<usize>) -> bool {
        let next = self.spans.partition_point(|span| span.at + span.count <= range.start);
        self.spans.get(next).is_some_and(|span| span.at < range.end)
    }

    /// Returns the original range of some decoded bytes. Escapes are included as a whole.
    pub(super) fn source_range(&self, range: Range<usize>) -> Range<usize> {
        let begin = self.source_of_byte(range.start).start;
        if range.is_empty() { begin..begin } else { begin..self.source_of_byte(range.end - 1).end }
    }

    /// Returns the original range of one decoded byte.
    fn source_of_byte(&self, place: usize) -> Range<usize> {
        let next = self.spans.partition_point(|span| span.at <= place);
        match next.checked_sub(1).map(|last| &self.spans[last]) {
            Some(span) if place < span.at + span.count => span.from..span.from + span.length,
            Some(span) => {
                let from = span.from + span.length + (place - span.at - span.count);
                from..from + 1
            }
            None => place..place + 1,
        }
    }

    /// Returns the escape around this position of the original text, unless it starts there.
    pub(super) fn escape_around(&self, place: usize) -> Option<Range<usize>> {
        let next = self.spans.partition_point(|span| span.from < place);
        let span = &self.spans[next.checked_sub(1)?];
        (place < span.from + span.length).then_some(span.from..span.from + span.length)
    }

    /// Converts an original position into a decoded one. Inside an escape, returns its first byte.
    pub(super) fn decoded_offset(&self, from: usize) -> usize {
        let next = self.spans.partition_point(|span| span.from < from);
        match next.checked_sub(1).map(|last| &self.spans[last]) {
            Some(span) if from < span.from + span.length => span.at,
            Some(span) => span.at + span.count + (from - span.from - span.length),
            None => from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(text: &str) -> Option<Decoded> {
        Decoded::of(Scheme::Percent, text.as_bytes(), text.len())
    }

    #[test]
    fn a_range_of_decoded_bytes_is_found_in_its_origin() {
        let decoded = percent("a%41b%4cC%zz").unwrap();
        assert_eq!(decoded.bytes, b"aAbLC%zz");
        assert_eq!(decoded.source_range(1..4), 1..8);
        assert_eq!(decoded.source_range(0..1), 0..1);
        assert_eq!(decoded.source_range(4..8), 8..12);
        assert!(percent("100% %g1 % ").is_none());
        let character = Decoded::of(Scheme::Backslash, br"a\u00e4b", 8).unwrap();
        assert_eq!(character.bytes, "aäb".as_bytes());
        // A part of a character comes from all of its escape.
        assert_eq!(
            [character.source_range(0..2), character.source_range(2..4), character.source_range(3..4)],
            [0..7, 1..8, 7..8]
        );
        assert_eq!([1, 3, 7].map(|place| character.escape_around(place)), [None, Some(1..7), None]);
    }

    #[test]
    fn an_escape_that_has_begun_is_not_whole() {
        for (text, certain_len) in [("100%", 3), ("%41b%4", 2), ("%", 0), ("%41%g", 3)] {
            assert_eq!(percent(text).unwrap().certain_len, certain_len, "{text}");
        }
        assert_eq!(Decoded::of(Scheme::Percent, b"a%41b", 2).unwrap().certain_len, 1);
    }

    #[test]
    fn every_blank_is_a_plus() {
        assert_eq!(percent("a b%20c+d").unwrap().bytes, b"a+b+c+d");
    }
}
