//! Bytes as a `printf` format, and back. This is the only way to pass a NUL to a POSIX shell.

use std::ffi::OsString;
use std::fmt::Write as _;

/// Returns a format with which `printf` writes exactly these bytes. Letters, digits and blanks stay
/// readable. Everything else is an octal escape, including a leading dash and a percent sign.
pub(super) fn for_printf(bytes: &[u8]) -> OsString {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b" .,:_".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\{byte:03o}");
        }
    }
    text.into()
}

/// Parses such a format; `None` for any other text.
pub(super) fn from_printf(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        if *first == b'\\' {
            let (digits, rest) = rest.split_at_checked(3)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?);
            text = rest;
        } else {
            bytes.push(*first);
            text = rest;
        }
    }
    Some(bytes)
}
