//! The forms in which a secret may stand in a text: as it is, base64, percent-encoded.

use std::ops::Range;

/// The most bytes that stand for one when it is percent-encoded.
pub(super) const LONGEST_ESCAPE: usize = 3;

/// The two alphabets of RFC 4648, sections 4 and 5.
pub(super) const ALPHABETS: [&[u8; 64]; 2] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
];

/// Adds the forms of one secret. Percent-encoding has too many to list: for that the text is decoded.
pub(super) fn of(secret: &[u8], forms: &mut Vec<Vec<u8>>) {
    forms.push(secret.to_vec());
    if secret.contains(&b' ') {
        // A form's way to write a blank; and how each blank of a decoded text is written here.
        forms.push(secret.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect());
    }
    for alphabet in ALPHABETS {
        // The secret alone, without padding and with it.
        let whole = base64(secret, alphabet);
        let padding = whole.len().next_multiple_of(4) - whole.len();
        if padding > 0 {
            forms.push([&whole[..], &b"=="[..padding]].concat());
        }
        forms.push(whole);
        // The secret as a part of what was encoded: behind none, one or two bytes of a group of three, and before others.
        for before in 0..3 {
            let encoded = base64(&[&[0; 2][..before], secret].concat(), alphabet);
            let begin = (before * 8).div_ceil(6);
            let end = (before + secret.len()) * 8 / 6;
            forms.push(encoded[begin..end].to_vec());
        }
    }
}

/// Without padding.
pub(super) fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 4 / 3 + 2);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        text.extend((0..=group.len()).map(|place| alphabet[(bits >> (18 - 6 * place) & 63) as usize]));
    }
    text
}

/// The byte that an escape at the beginning of the bytes stands for (RFC 3986, section 2.1).
pub(super) fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// Bytes whose escapes are decoded, and whose blanks are written `+`: of two blanks one may be an escape and one a `+`, and
/// to list who is which takes a form for each mixture.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// How many of `bytes` stand before an escape at the end that is not complete; all where there is none.
    pub(super) whole: usize,
    /// For each escape, where its byte stands in `bytes`, in order.
    escapes: Vec<usize>,
}

impl Decoded {
    /// `None` for bytes without an escape or the beginning of one at their end.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut decoded = Self { bytes: Vec::new(), whole: 0, escapes: Vec::new() };
        let mut kept = 0;
        for place in memchr::memchr_iter(b'%', bytes) {
            if let Some(byte) = escaped(&bytes[place..]) {
                decoded.bytes.extend_from_slice(&bytes[kept..place]);
                decoded.escapes.push(decoded.bytes.len());
                decoded.bytes.push(byte);
                kept = place + LONGEST_ESCAPE;
            }
        }
        let part = begun_escape(bytes);
        if decoded.escapes.is_empty() && part == 0 {
            return None;
        }
        decoded.bytes.extend_from_slice(&bytes[kept..]);
        decoded.whole = decoded.bytes.len() - part;
        for byte in &mut decoded.bytes {
            *byte = if *byte == b' ' { b'+' } else { *byte };
        }
        Some(decoded)
    }

    /// Whether one of these bytes was an escape.
    pub(super) fn has_escape(&self, range: &Range<usize>) -> bool {
        self.before(range.start) < self.before(range.end)
    }

    /// Where a range of the decoded bytes comes from.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let origin = |place: usize| place + self.before(place) * (LONGEST_ESCAPE - 1);
        origin(range.start)..origin(range.end)
    }

    /// How many escapes stand before this place.
    fn before(&self, place: usize) -> usize {
        self.escapes.partition_point(|escape| *escape < place)
    }
}

/// How many bytes at the end may be the beginning of an escape.
fn begun_escape(bytes: &[u8]) -> usize {
    match bytes {
        [.., b'%'] => 1,
        [.., b'%', digit] if digit.is_ascii_hexdigit() => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, encoded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(base64(plain.as_bytes(), ALPHABETS[0]), encoded.as_bytes());
        }
        assert_eq!(base64(&[0xfb, 0xff], ALPHABETS[0]), b"+/8");
        assert_eq!(base64(&[0xfb, 0xff], ALPHABETS[1]), b"-_8");
    }

    #[test]
    fn a_range_of_decoded_bytes_is_found_in_its_origin() {
        let decoded = Decoded::of(b"a%41b%4cC%zz").unwrap();
        assert_eq!(decoded.bytes, b"aAbLC%zz");
        assert_eq!(decoded.origin(1..4), 1..8);
        assert_eq!(decoded.origin(0..1), 0..1);
        assert_eq!(decoded.origin(4..8), 8..12);
        assert!(Decoded::of(b"100% %g1 % ").is_none());
    }

    #[test]
    fn an_escape_that_has_begun_is_not_whole() {
        for (text, whole) in [("100%", 3), ("%41b%4", 2), ("%", 0), ("%41%g", 3)] {
            assert_eq!(Decoded::of(text.as_bytes()).unwrap().whole, whole, "{text}");
        }
    }

    #[test]
    fn every_blank_is_a_plus() {
        assert_eq!(Decoded::of(b"a b%20c+d").unwrap().bytes, b"a+b+c+d");
    }
}
