//! Progress of `live`, for people.

/// A line of progress, on standard error: standard output of `live` belongs to the command.
pub(super) fn note(text: &str) {
    use std::io::Write as _;
    // Unlike eprintln!, this does not panic in a drop when the terminal is gone.
    let _ = writeln!(std::io::stderr(), "live: {text}");
}
