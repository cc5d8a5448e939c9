//! A text whose escapes are decoded, and where in the text each byte of it comes from.

use std::ops::Range;

use super::escape::{Escape, Scheme};

/// Bytes without their escapes. Percent-decoded, each blank is written `+`: of two blanks one may be an escape and one a
/// `+`, and to list who is which takes a form for each mixture.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// How many of `bytes` can change no more, whatever the text goes on with.
    pub(super) whole: usize,
    /// In order.
    tokens: Vec<Token>,
}

/// An escape.
struct Token {
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
        let mut decoded = Self { bytes: Vec::new(), whole: 0, tokens: Vec::new() };
        let (mut kept, mut begun) = (0, None);
        for from in memchr::memchr_iter(scheme.sign(), text) {
            if from < kept {
                // Within the last escape.
                continue;
            }
            match scheme.read(&text[from..]) {
                Escape::Whole(stands_for, length) => {
                    decoded.bytes.extend_from_slice(&text[kept..from]);
                    let (at, count) = (decoded.bytes.len(), stands_for.len());
                    decoded.tokens.push(Token { at, count, from, length });
                    decoded.bytes.extend(stands_for);
                    kept = from + length;
                }
                Escape::Begun => begun = begun.or(Some(from)),
                Escape::No => {}
            }
        }
        if decoded.tokens.is_empty() && begun.is_none() {
            return None;
        }
        decoded.bytes.extend_from_slice(&text[kept..]);
        decoded.whole = decoded.place_of(certain.min(begun.unwrap_or(text.len())));
        if scheme == Scheme::Percent {
            for byte in &mut decoded.bytes {
                *byte = if *byte == b' ' { b'+' } else { *byte };
            }
        }
        Some(decoded)
    }

    /// Whether one of these bytes was an escape.
    pub(super) fn has_escape(&self, range: &Range<usize>) -> bool {
        let next = self.tokens.partition_point(|token| token.at + token.count <= range.start);
        self.tokens.get(next).is_some_and(|token| token.at < range.end)
    }

    /// Where a range of the decoded bytes comes from; escapes belong to it as a whole.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let begin = self.origin_of(range.start).start;
        if range.is_empty() { begin..begin } else { begin..self.origin_of(range.end - 1).end }
    }

    /// Where one byte comes from.
    fn origin_of(&self, place: usize) -> Range<usize> {
        let next = self.tokens.partition_point(|token| token.at <= place);
        match next.checked_sub(1).map(|last| &self.tokens[last]) {
            Some(token) if place < token.at + token.count => token.from..token.from + token.length,
            Some(token) => {
                let from = token.from + token.length + (place - token.at - token.count);
                from..from + 1
            }
            None => place..place + 1,
        }
    }

    /// The escape that this place of the text is within, but not at the beginning of.
    pub(super) fn escape_around(&self, place: usize) -> Option<Range<usize>> {
        let next = self.tokens.partition_point(|token| token.from < place);
        let token = &self.tokens[next.checked_sub(1)?];
        (place < token.from + token.length).then_some(token.from..token.from + token.length)
    }

    /// Where a place of the text is in the decoded bytes; of an escape around it, the first byte.
    pub(super) fn place_of(&self, from: usize) -> usize {
        let next = self.tokens.partition_point(|token| token.from < from);
        match next.checked_sub(1).map(|last| &self.tokens[last]) {
            Some(token) if from < token.from + token.length => token.at,
            Some(token) => token.at + token.count + (from - token.from - token.length),
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
        assert_eq!(decoded.origin(1..4), 1..8);
        assert_eq!(decoded.origin(0..1), 0..1);
        assert_eq!(decoded.origin(4..8), 8..12);
        assert!(percent("100% %g1 % ").is_none());
        let character = Decoded::of(Scheme::Backslash, br"a\u00e4b", 8).unwrap();
        assert_eq!(character.bytes, "aäb".as_bytes());
        // A part of a character comes from all of its escape.
        assert_eq!(
            [character.origin(0..2), character.origin(2..4), character.origin(3..4)],
            [0..7, 1..8, 7..8]
        );
        assert_eq!([1, 3, 7].map(|place| character.escape_around(place)), [None, Some(1..7), None]);
    }

    #[test]
    fn an_escape_that_has_begun_is_not_whole() {
        for (text, whole) in [("100%", 3), ("%41b%4", 2), ("%", 0), ("%41%g", 3)] {
            assert_eq!(percent(text).unwrap().whole, whole, "{text}");
        }
        assert_eq!(Decoded::of(Scheme::Percent, b"a%41b", 2).unwrap().whole, 1);
    }

    #[test]
    fn every_blank_is_a_plus() {
        assert_eq!(percent("a b%20c+d").unwrap().bytes, b"a+b+c+d");
    }
}
