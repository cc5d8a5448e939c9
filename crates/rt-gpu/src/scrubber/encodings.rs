//! The encodings of a secret that can be listed: unchanged, quoted, base64. Escapes have too many
//! variants to list, so `escape` decodes the text instead.

/// The two alphabets of RFC 4648, sections 4 and 5.
pub(super) const ALPHABETS: [&[u8; 64]; 2] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
];

/// How quoted text writes a quotation mark: a shell's `'…'` in two ways, and the doubling of SQL,
/// CSV, YAML and PowerShell. Backslashes inside of `"…"` and `$'…'` are escapes.
const QUOTINGS: [&[(u8, &[u8])]; 4] =
    [&[(b'\'', br"'\''")], &[(b'\'', br#"'"'"'"#)], &[(b'\'', b"''")], &[(b'"', br#""""#)]];

/// As in JSON, and as in a shell's `"…"`, which escapes other characters than JSON.
const ESCAPES: [&[(u8, &[u8])]; 2] = [
    &[(b'"', br#"\""#), (b'\\', br"\\"), (b'\n', br"\n"), (b'\t', br"\t"), (b'\r', br"\r")],
    &[(b'"', br#"\""#), (b'\\', br"\\"), (b'$', br"\$"), (b'`', br"\`")],
];

/// Adds the encodings of one secret.
pub(super) fn add_encodings(secret: &[u8], encodings: &mut Vec<Vec<u8>>) {
    let first = encodings.len();
    encodings.push(secret.to_vec());
    // JSON within a shell's quotes is a request on a command line. Decoding finds escapes without
    // quotes as well, but it has to decode the whole text.
    encodings.extend(ESCAPES.iter().filter_map(|escapes| escaped_with(secret, escapes)));
    for plain in first..encodings.len() {
        let quoted: Vec<_> =
            QUOTINGS.iter().filter_map(|quoting| escaped_with(&encodings[plain], quoting)).collect();
        encodings.extend(quoted);
    }
    if secret.contains(&b' ') {
        // Covers the encoding of a blank as `+`, and percent-decoded text, in which each blank
        // becomes `+`.
        let with_plus = |encoding: &Vec<u8>| {
            encoding.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect()
        };
        let blanks: Vec<_> = encodings[first..].iter().map(with_plus).collect();
        encodings.extend(blanks);
    }
    for alphabet in ALPHABETS {
        // The secret alone, without padding and with it.
        let whole = base64(secret, alphabet);
        let padding = whole.len().next_multiple_of(4) - whole.len();
        if padding > 0 {
            encodings.push([&whole[..], &b"=="[..padding]].concat());
        }
        encodings.push(whole);
        // The secret as a part of the encoded bytes: after none, one or two bytes of a group of
        // three.
        for before in 0..3 {
            let encoded = base64(&[&[0; 2][..before], secret].concat(), alphabet);
            let begin = (before * 8).div_ceil(6);
            let end = (before + secret.len()) * 8 / 6;
            encodings.push(encoded[begin..end].to_vec());
        }
    }
}

/// `None` if no character needs an escape.
fn escaped_with(text: &[u8], signs: &[(u8, &[u8])]) -> Option<Vec<u8>> {
    let sign = |byte: &u8| signs.iter().find(|(sign, _)| sign == byte).map(|(_, escape)| *escape);
    text.iter().any(|byte| sign(byte).is_some()).then(|| {
        text.iter()
            .flat_map(|byte| sign(byte).unwrap_or(std::slice::from_ref(byte)).iter().copied())
            .collect()
    })
}

/// Encodes without padding.
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
    fn a_secret_with_quotes_is_known_as_shells_and_tables_write_it() {
        let mut encodings = Vec::new();
        add_encodings(b"it's \"$5\"", &mut encodings);
        for expected in [
            r#"it'\''s "$5""#,
            r#"it'"'"'s "$5""#,
            r#"it's \"\$5\""#,
            r#"it''s "$5""#,
            r#"it's ""$5"""#,
            r#"it'\''s \"$5\""#,
            r#"it'\''s+"$5""#,
        ] {
            assert!(encodings.iter().any(|encoding| encoding == expected.as_bytes()), "{expected}");
        }
    }
}
