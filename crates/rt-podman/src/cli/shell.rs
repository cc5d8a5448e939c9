//! Words for a shell.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Quotes a word for a shell.
pub(crate) fn quoted(word: &OsStr) -> OsString {
    let parts = word.as_bytes().split(|byte| *byte == b'\'').collect::<Vec<_>>();
    OsString::from_vec([b"'", parts.join(&br"'\''"[..]).as_slice(), b"'"].concat())
}
