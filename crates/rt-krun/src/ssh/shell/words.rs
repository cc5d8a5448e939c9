//! Text of a guest or of a request, as errors show it: short, on one line, without control
//! characters.

/// The most of it that an error shows, in characters before escaping.
const MOST: usize = 100;

/// Returns the beginning of `bytes` as text. Unprintable characters and backslashes are escaped,
/// and an ellipsis marks omitted text.
pub(crate) fn shown(bytes: &[u8]) -> String {
    // A character has at most four bytes; megabytes of further text are not copied.
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MOST)]);
    let mut text = String::new();
    for letter in beginning.chars().take(MOST) {
        match letter {
            '"' | '\'' => text.push(letter),
            _ => text.extend(letter.escape_debug()),
        }
    }
    if bytes.len() > 4 * MOST || beginning.chars().nth(MOST).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_as_they_are_and_nothing_else_is() {
        assert_eq!(shown("it's \"Käse\"".as_bytes()), "it's \"Käse\"");
        assert_eq!(shown(b"\x1b[31m\nred\xff\0\\"), "\\u{1b}[31m\\nred\u{fffd}\\0\\\\");
        assert_eq!(shown("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(shown(&[b'x'; 100]), "x".repeat(100));
        assert_eq!(shown(&vec![b'x'; 50_000]), "x".repeat(100) + "…");
        assert_eq!(shown("ä".repeat(5000).as_bytes()), "ä".repeat(100) + "…");
    }
}
