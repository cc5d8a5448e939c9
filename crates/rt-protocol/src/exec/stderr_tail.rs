//! The end of a command's stderr for an error message: short, on one line, without control
//! characters.

use crate::CapturedOutput;

/// The limit in bytes before escaping: about ten lines, where a failing command usually says why.
const MAX_TAIL_BYTES: usize = 1000;

/// Returns the end of the kept `stderr`, with an ellipsis if something before it is left out. Empty
/// if the end was not kept.
pub(crate) fn stderr_tail(stderr: &CapturedOutput) -> String {
    let kept = if stderr.is_truncated() { stderr.tail() } else { stderr.as_bytes() };
    let kept = kept.trim_ascii_end();
    let mut end = &kept[kept.len().saturating_sub(MAX_TAIL_BYTES)..];
    if end.len() < kept.len() {
        // Not in the middle of a character: skips its continuation bytes.
        let continuation = end.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
        end = &end[continuation..];
    }
    let text = printable(&String::from_utf8_lossy(end));
    if text.is_empty() || (end.len() == kept.len() && !stderr.is_truncated()) {
        text
    } else {
        format!("…{text}")
    }
}

/// Returns `text` on one line, without colours and titles of a terminal; other unprintable
/// characters are escaped.
fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = escape_sequence_len(rest);
        if length == 0 {
            if is_unprintable(letter) {
                line.extend(letter.escape_debug());
            } else {
                line.push(letter);
            }
        }
        rest = &rest[length.max(letter.len_utf8())..];
    }
    line
}

/// Returns the length of the control sequence (ECMA-48, `ESC [ … letter`) or operating system
/// command (`ESC ] … BEL`, `ESC ] … ESC \`) at the beginning of `text`; 0 if there is none, or if
/// it is not complete.
fn escape_sequence_len(text: &str) -> usize {
    if let Some(parameters) = text.strip_prefix("\x1b[") {
        let end = parameters.bytes().position(|byte| !(0x20..0x40).contains(&byte));
        return match end.map(|end| (end, parameters.as_bytes()[end])) {
            Some((end, 0x40..=0x7e)) => "\x1b[".len() + end + 1,
            _ => 0,
        };
    }
    let Some(command) = text.strip_prefix("\x1b]") else { return 0 };
    let Some(end) = command.find(['\x07', '\x1b', '\n']) else { return 0 };
    let terminator = ["\x07", "\x1b\\"].into_iter().find(|terminator| command[end..].starts_with(terminator));
    terminator.map_or(0, |terminator| "\x1b]".len() + end + terminator.len())
}

/// Returns whether it is a control character, or a format character that changes how its neighbours
/// are read.
fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(stderr: impl Into<Vec<u8>>) -> String {
        stderr_tail(&CapturedOutput::complete(stderr))
    }

    #[test]
    fn a_short_stderr_is_shown_whole_and_on_one_line() {
        assert_eq!(tail("error: it's \"Käse\" हिन्दी C:\\x\n"), "error: it's \"Käse\" हिन्दी C:\\x");
        assert_eq!(tail("one\ntwo\r\n\n"), "one\\ntwo");
        assert_eq!(tail(""), "");
        assert_eq!(tail("\n\n"), "");
    }

    #[test]
    fn what_a_terminal_would_obey_is_no_part_of_it() {
        assert_eq!(tail("\x1b[1;31merror\x1b[0m: \x1b[2Kno"), "error: no");
        assert_eq!(tail("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b"), "ab");
        assert_eq!(tail("a\x1b[31"), "a\\u{1b}[31");
        assert_eq!(tail("a\x1b]0;never ended"), "a\\u{1b}]0;never ended");
        assert_eq!(
            tail("a\x1bc\x07\0\u{9b}\u{202e}\u{200b}b"),
            "a\\u{1b}c\\u{7}\\0\\u{9b}\\u{202e}\\u{200b}b"
        );
        let all: Vec<u8> = (0..=255).collect();
        assert!(!tail(all.repeat(2)).contains(char::is_control));
    }

    #[test]
    fn a_long_stderr_is_cut_between_characters() {
        assert_eq!(tail([b'x'; MAX_TAIL_BYTES]), "x".repeat(MAX_TAIL_BYTES));
        assert_eq!(tail([b'x'; MAX_TAIL_BYTES + 1]), format!("…{}", "x".repeat(MAX_TAIL_BYTES)));
        assert_eq!(tail("ä".repeat(MAX_TAIL_BYTES)), format!("…{}", "ä".repeat(MAX_TAIL_BYTES / 2)));
        assert_eq!(
            tail(format!("{}x", "ä".repeat(MAX_TAIL_BYTES))),
            format!("…{}x", "ä".repeat(MAX_TAIL_BYTES / 2 - 1))
        );
    }

    #[test]
    fn of_a_limited_capture_only_the_end_is_shown() {
        let limited = |tail: &[u8]| stderr_tail(&CapturedOutput::truncated("beginning", 5, tail));
        assert_eq!(limited(b"the end\n"), "…the end");
        assert_eq!(limited(b""), "");
    }
}
