//! Escapes: one byte or character written as several characters. `decoded` applies them to a text.

/// A scheme of escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `%2f` (RFC 3986, section 2.1).
    Percent,
    /// `\"`, `\n`, `\u0026`, `\x41`, `\101`, `\u{41}`: JSON (RFC 8259, section 7), C and its
    /// successors, the shell's `$'…'` and `\$`.
    Backslash,
    /// `&quot;`, `&#39;`, `&#x27;` (HTML, section 13.5). Named ones only for ASCII characters.
    Entity,
}

/// The escape at a lead byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// The bytes that it stands for, and its length in bytes.
    Complete(Vec<u8>, usize),
    /// The text ends before the escape is complete.
    Incomplete,
    /// Not an escape.
    None,
}

/// The longest run of digits that is read as a number, with leading zeros.
const MAX_DIGITS: usize = 8;

impl Scheme {
    pub(super) const ALL: [Self; 3] = [Self::Percent, Self::Backslash, Self::Entity];

    /// Returns the byte with which each escape begins.
    pub(super) const fn lead_byte(self) -> u8 {
        match self {
            Self::Percent => b'%',
            Self::Backslash => b'\\',
            Self::Entity => b'&',
        }
    }

    /// Reads the escape at the start of these bytes. The first must be the lead byte.
    pub(super) fn read(self, bytes: &[u8]) -> Escape {
        match self {
            Self::Percent => percent(bytes),
            Self::Backslash => backslash(bytes),
            Self::Entity => entity(bytes),
        }
    }
}

fn percent(bytes: &[u8]) -> Escape {
    match digits(&bytes[1..], 16, 2) {
        (2, number) => byte(number, 3),
        (count, _) if 1 + count == bytes.len() => Escape::Incomplete,
        _ => Escape::None,
    }
}

fn backslash(bytes: &[u8]) -> Escape {
    let Some(letter) = bytes.get(1) else { return Escape::Incomplete };
    let one = |byte: u8| Escape::Complete(vec![byte], 2);
    match letter {
        b'n' => one(b'\n'),
        b't' => one(b'\t'),
        b'r' => one(b'\r'),
        b'b' => one(8),
        b'f' => one(12),
        b'a' => one(7),
        b'v' => one(11),
        b'e' => one(27),
        b'u' => unicode(bytes),
        b'U' => match digits(&bytes[2..], 16, 8) {
            (8, number) => character(number, 10).unwrap_or_else(|| one(b'U')),
            (count, _) if 2 + count == bytes.len() => Escape::Incomplete,
            _ => one(b'U'),
        },
        b'x' => match digits(&bytes[2..], 16, 2) {
            (count, _) if count < 2 && 2 + count == bytes.len() => Escape::Incomplete,
            (0, _) => one(b'x'),
            (count, number) => byte(number, 2 + count),
        },
        b'0'..=b'7' => match digits(&bytes[1..], 8, 3) {
            (count, _) if count < 3 && 1 + count == bytes.len() => Escape::Incomplete,
            (count, number) => byte(number, 1 + count),
        },
        other => one(*other),
    }
}

/// Reads `\u0026`, `\u{26}`, and pairs of surrogates, which JSON uses for one character.
fn unicode(bytes: &[u8]) -> Escape {
    let letter = || Escape::Complete(vec![b'u'], 2);
    if bytes.get(2) == Some(&b'{') {
        let (count, number) = digits(&bytes[3..], 16, MAX_DIGITS);
        return match bytes.get(3 + count) {
            Some(b'}') if count > 0 => character(number, 4 + count).unwrap_or_else(letter),
            None if count < MAX_DIGITS => Escape::Incomplete,
            _ => letter(),
        };
    }
    let high = match digits(&bytes[2..], 16, 4) {
        (4, number) => number,
        (count, _) if 2 + count == bytes.len() => return Escape::Incomplete,
        _ => return letter(),
    };
    if !(0xd800..0xdc00).contains(&high) {
        return character(high, 6).unwrap_or_else(letter);
    }
    let second = &bytes[6..];
    if second.len() < 2 && b"\\u".starts_with(second) {
        return Escape::Incomplete;
    }
    match second.strip_prefix(b"\\u").map(|behind| (behind.len(), digits(behind, 16, 4))) {
        Some((_, (4, low @ 0xdc00..0xe000))) => {
            character(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12).unwrap_or_else(letter)
        }
        Some((length, (count, _))) if count < 4 && count == length => Escape::Incomplete,
        _ => letter(),
    }
}

fn entity(bytes: &[u8]) -> Escape {
    let behind = &bytes[1..];
    if let [b'#', number @ ..] = behind {
        let (radix, sign) = if let [b'x' | b'X', ..] = number { (16, 1) } else { (10, 0) };
        let (count, code) = digits(&number[sign..], radix, MAX_DIGITS);
        return match number.get(sign + count) {
            Some(b';') if count > 0 => character(code, 3 + sign + count).unwrap_or(Escape::None),
            None if count < MAX_DIGITS => Escape::Incomplete,
            _ => Escape::None,
        };
    }
    let whole = NAMES
        .iter()
        .find(|(name, _)| behind.starts_with(name.as_bytes()) && behind.get(name.len()) == Some(&b';'));
    match whole {
        Some((name, stands_for)) => Escape::Complete(vec![*stands_for], name.len() + 2),
        None if NAMES.iter().any(|(name, _)| name.as_bytes().starts_with(behind)) => Escape::Incomplete,
        None => Escape::None,
    }
}

/// The names of ASCII characters (HTML, section 13.5).
const NAMES: [(&str, u8); 45] = [
    ("amp", b'&'),
    ("quot", b'"'),
    ("apos", b'\''),
    ("lt", b'<'),
    ("gt", b'>'),
    ("AMP", b'&'),
    ("QUOT", b'"'),
    ("LT", b'<'),
    ("GT", b'>'),
    ("Tab", b'\t'),
    ("NewLine", b'\n'),
    ("excl", b'!'),
    ("num", b'#'),
    ("dollar", b'$'),
    ("percnt", b'%'),
    ("lpar", b'('),
    ("rpar", b')'),
    ("ast", b'*'),
    ("midast", b'*'),
    ("plus", b'+'),
    ("comma", b','),
    ("period", b'.'),
    ("sol", b'/'),
    ("colon", b':'),
    ("semi", b';'),
    ("equals", b'='),
    ("quest", b'?'),
    ("commat", b'@'),
    ("lsqb", b'['),
    ("lbrack", b'['),
    ("bsol", b'\\'),
    ("rsqb", b']'),
    ("rbrack", b']'),
    ("Hat", b'^'),
    ("lowbar", b'_'),
    ("UnderBar", b'_'),
    ("grave", b'`'),
    ("DiacriticalGrave", b'`'),
    ("lcub", b'{'),
    ("lbrace", b'{'),
    ("verbar", b'|'),
    ("vert", b'|'),
    ("VerticalLine", b'|'),
    ("rcub", b'}'),
    ("rbrace", b'}'),
];

/// Returns the number of digits at the start, at most `most`, and their value.
fn digits(bytes: &[u8], radix: u32, most: usize) -> (usize, u32) {
    let values = bytes.iter().take(most).map_while(|byte| char::from(*byte).to_digit(radix));
    values.fold((0, 0), |(count, number), digit| (count + 1, number * radix + digit))
}

fn byte(number: u32, length: usize) -> Escape {
    // `\777` exceeds a byte, and is not valid C either.
    u8::try_from(number).map_or(Escape::None, |byte| Escape::Complete(vec![byte], length))
}

fn character(code: u32, length: usize) -> Option<Escape> {
    char::from_u32(code).map(|letter| Escape::Complete(letter.to_string().into_bytes(), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None` for what is no escape, or the beginning of one.
    fn read(scheme: Scheme, text: &str) -> Option<(String, usize)> {
        match scheme.read(text.as_bytes()) {
            Escape::Complete(bytes, length) => Some((String::from_utf8_lossy(&bytes).into_owned(), length)),
            Escape::Incomplete | Escape::None => None,
        }
    }

    #[test]
    fn each_scheme_reads_its_own_escapes() {
        for (scheme, text, expected) in [
            (Scheme::Percent, "%2fx", "/"),
            (Scheme::Percent, "%2F", "/"),
            (Scheme::Backslash, "\\\"x", "\""),
            (Scheme::Backslash, "\\/", "/"),
            (Scheme::Backslash, "\\\\n", "\\"),
            (Scheme::Backslash, "\\n", "\n"),
            (Scheme::Backslash, "\\u0026x", "&"),
            (Scheme::Backslash, "\\u00E4", "ä"),
            (Scheme::Backslash, "\\ud83d\\uDE00x", "😀"),
            (Scheme::Backslash, "\\u{1f600}", "😀"),
            (Scheme::Backslash, "\\U0001f600", "😀"),
            (Scheme::Backslash, "\\x41b", "A"),
            (Scheme::Backslash, "\\x4g", "\u{4}"),
            (Scheme::Backslash, "\\101", "A"),
            (Scheme::Backslash, "\\0x", "\0"),
            (Scheme::Backslash, "\\$", "$"),
            (Scheme::Backslash, "\\ux", "u"),
            (Scheme::Backslash, "\\ud83dx", "u"),
            (Scheme::Entity, "&quot;x", "\""),
            (Scheme::Entity, "&#39;", "'"),
            (Scheme::Entity, "&#0039;", "'"),
            (Scheme::Entity, "&#x27;", "'"),
            (Scheme::Entity, "&#X27;", "'"),
            (Scheme::Entity, "&lt;", "<"),
        ] {
            assert_eq!(read(scheme, text).map(|(read, _)| read).as_deref(), Some(expected), "{text}");
        }
        for (scheme, text) in [
            (Scheme::Percent, "%g1"),
            (Scheme::Percent, "% "),
            (Scheme::Backslash, "\\777"),
            (Scheme::Entity, "&;"),
            (Scheme::Entity, "&x;"),
            (Scheme::Entity, "&#;"),
            (Scheme::Entity, "&#xfffffff;"),
            (Scheme::Entity, "&amp "),
        ] {
            assert_eq!(scheme.read(text.as_bytes()), Escape::None, "{text}");
        }
    }

    #[test]
    fn each_proper_beginning_of_an_escape_may_go_on() {
        for (scheme, text) in [
            (Scheme::Percent, "%2f"),
            (Scheme::Backslash, "\\u0026"),
            (Scheme::Backslash, "\\ud83d\\ude00"),
            (Scheme::Backslash, "\\u{26}"),
            (Scheme::Backslash, "\\U0001f600"),
            (Scheme::Backslash, "\\x41"),
            (Scheme::Backslash, "\\101"),
            (Scheme::Backslash, "\\n"),
            (Scheme::Entity, "&quot;"),
            (Scheme::Entity, "&#39;"),
            (Scheme::Entity, "&#x27;"),
        ] {
            for end in 1..text.len() {
                assert_eq!(scheme.read(&text.as_bytes()[..end]), Escape::Incomplete, "{}", &text[..end]);
            }
            assert_eq!(read(scheme, text).map(|(_, length)| length), Some(text.len()), "{text}");
        }
    }
}
