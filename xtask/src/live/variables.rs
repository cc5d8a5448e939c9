//! Variables of a process, and how a shell is given them.

use std::ffi::OsString;

/// Variables to set, or with `None` to remove.
pub(crate) type Variables = Vec<(&'static str, Option<OsString>)>;

/// A word for a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_directory_stays_inside_its_word() {
        assert_eq!(quoted("/tmp/it's"), r"'/tmp/it'\''s'");
    }
}
