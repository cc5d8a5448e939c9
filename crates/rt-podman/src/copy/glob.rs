//! Paths that podman's copier would read as patterns, and how to pass them literally.
//!
//! The copier looks up every source with Go's `filepath.Glob`, on the host and in the container:
//! `w[1]/f` is the file `w1/f`, and `a*` also matches `ab` (4.3.1 and 5.4.2). The remedy depends on
//! the side. A source on the host gets an alias (`symlink_alias`). A source in the container is
//! escaped here. A destination is looked up as a pattern and then used literally, so only its last
//! name may have special characters.

use std::path::{Path, PathBuf};

use rt_protocol::{Error, ErrorKind, Result};

/// Special characters in a pattern of Go's `filepath.Match`.
const SPECIAL: [char; 4] = ['*', '?', '[', '\\'];

/// Returns whether the text as a pattern matches only itself. Bytes that are not UTF-8 do not
/// matter.
pub(crate) fn is_plain(path: &Path) -> bool {
    !path.to_string_lossy().contains(SPECIAL)
}

/// Returns the pattern that matches only this text.
pub(crate) fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if SPECIAL.contains(&character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Returns a source in the container in podman's words. The path is UTF-8.
///
/// podman finds nothing if a path of the container contains a `*`, escaped or not.
pub(crate) fn container_source(operation: &'static str, path: &Path) -> Result<PathBuf> {
    let text = path.to_string_lossy();
    if text.contains('*') { Err(refused(operation)) } else { Ok(PathBuf::from(escaped(&text))) }
}

/// Rejects a destination in the container below a directory that podman would look up as a pattern.
pub(crate) fn check_above(operation: &'static str, dest: &Path) -> Result<()> {
    if dest.parent().is_none_or(is_plain) { Ok(()) } else { Err(refused(operation)) }
}

/// Builds the error for a path that cannot be passed to podman.
pub(crate) fn refused(operation: &'static str) -> Error {
    let message =
        "podman would take a path of the container for a pattern, and another file for the one that is meant";
    Error::new(ErrorKind::InvalidRequest, operation, message)
        .with_hint("choose a path without `*`, `?`, `[` and `\\`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns whether the text matches the pattern by the rules of Go's `filepath.Match`, for
    /// patterns without `[`.
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|end| matches(rest, &text[end..])),
            (['?', rest @ ..], [_, tail @ ..]) => matches(rest, tail),
            (['\\', literal, rest @ ..], [character, tail @ ..]) => {
                literal == character && matches(rest, tail)
            }
            (['\\', _, ..], []) => false,
            (['[' | '\\', ..], _) => panic!("no class, and no escape of nothing"),
            ([literal, rest @ ..], [character, tail @ ..]) => literal == character && matches(rest, tail),
            _ => false,
        }
    }

    fn check(text: &str, other: &str) {
        let pattern: Vec<_> = escaped(text).chars().collect();
        let matches = |text: &str| matches(&pattern, &text.chars().collect::<Vec<_>>());
        assert!(matches(text), "{text}");
        assert_eq!(matches(other), other == text, "{text} {other}");
        // Both are in one directory when an alias is created.
        assert!(is_plain(Path::new(text)) || !matches(&escaped(text)), "{text}");
    }

    proptest! {
        #[test]
        fn an_escaped_text_matches_itself_alone(text in "[ab*?\\[\\]\\\\^-]{0,8}", other in "[ab*?\\[\\]\\\\^-]{0,8}") {
            check(&text, &other);
            prop_assert_eq!(escaped(&text) == text, is_plain(Path::new(&text)));
        }
    }

    #[test]
    fn what_podman_never_finds_is_refused() {
        let told = |path: &str| container_source("copy out of", Path::new(path));
        assert_eq!(told("/a b/c]").unwrap(), Path::new("/a b/c]"));
        assert_eq!(told("/r[1]/x?/\\").unwrap(), Path::new("/r\\[1]/x\\?/\\\\"));
        assert_eq!(told("/a*/b").unwrap_err().kind(), ErrorKind::InvalidRequest);
    }

    #[test]
    fn only_the_last_name_of_a_destination_may_be_odd() {
        let check = |path: &str| check_above("copy into", Path::new(path)).is_ok();
        assert!(check("/") && check("/tmp/w[1]") && check("/tmp/a*"));
        assert!(!check("/w[1]/f") && !check("/tmp/a*/b/c") && !check("/?/f"));
    }
}
