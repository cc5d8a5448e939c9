//! A text whose escapes are decoded, and where in the text each byte of it comes from.

use std::ops::Range;

use super::escape::{Escape, Scheme};

/// Bytes without their escapes. Percent-decoded, each blank is written `+`: of two blanks one may be an escape and one a
/// `+`, and to list who is which takes a form for each mixture.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// How many of `bytes` can change no more, whatever the text goes on with.
    pub(super) certain_len: usize,
    /// In order.
    spans: Vec<EscapeSpan>,
}

/// An escape.
struct EscapeSpan {
    /// Where its bytes stand in the decoded ones, and how many they are.
    at: usize,
    count: usize,
    /// The same of what it was decoded from.
    from: usize,
    length: usize,
}

impl Decoded {
    /// Decodes the escapes of one scheme; of the text, the first `certain` bytes can change no more. `None` for a text without an
    /// escape or the beginning of one at its end.
    pub(super) fn of(scheme: Scheme, text: &[u8], certain: usize) -> Option<Self> {
        let mut decoded = Self { bytes: Vec::new(), certain_len: 0, spans: Vec::new() };
        let (mut kept, mut begun) = (0, None);
        for from in memchr::memchr_iter(scheme.lead_byte(), text) {
            if from < kept {
                // Within the last escape.
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

    /// Whether one of these bytes was an escape.
    pub(super) fn has_escape(&self, range: &Range<usize>) -> bool {
        let next = self.spans.partition_point(|span| span.at + span.count <= range.start);
        self.spans.get(next).is_some_and(|span| span.at < range.end)
    }

    /// Where a range of the decoded bytes comes from; escapes belong to it as a whole.
    pub(super) fn source_range(&self, range: Range<usize>) -> Range<usize> {
        let begin = self.source_of_byte(range.start).start;
        if range.is_empty() { begin..begin } else { begin..self.source_of_byte(range.end - 1).end }
    }

    /// Where one byte comes from.
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

    /// The escape that this place of the text is within, but not at the beginning of.
    pub(super) fn escape_around(&self, place: usize) -> Option<Range<usize>> {
        let next = self.spans.partition_point(|span| span.from < place);
        let span = &self.spans[next.checked_sub(1)?];
        (place < span.from + span.length).then_some(span.from..span.from + span.length)
    }

    /// Where a place of the text is in the decoded bytes; of an escape around it, the first byte.
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
