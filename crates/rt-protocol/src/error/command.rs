//! What an error says about its command: the program that could not be started, and the result of
//! ending it.

use std::os::unix::ffi::OsStrExt;

use super::Error;
use crate::{Argv, ErrorKind, KillReport, PartialOutput};

/// # The command of an error, for backends
impl Error {
    /// Adds the result of ending the command, its partial output, and a hint for it. Errors with
    /// another cause keep the hint that they have.
    ///
    /// For backends: every backend reports an ended command in this form.
    #[must_use]
    pub fn of_ended_command(mut self, report: KillReport, partial: PartialOutput) -> Self {
        use ErrorKind::{Cancelled, SinkFailed, SourceFailed, TimedOut};
        if self.0.hint.is_none() || matches!(self.0.kind, TimedOut | Cancelled | SourceFailed | SinkFailed) {
            self.0.hint = Some(report.outcome.hint().into());
        }
        self.with_kill_report(report).with_partial(partial)
    }

    /// Adds the same for a command that certainly never ran; `is_bridged` says whether its streams
    /// are the caller's.
    #[must_use]
    pub fn of_unstarted_command(self, is_bridged: bool) -> Self {
        self.of_ended_command(KillReport::never_started(), PartialOutput::nothing(is_bridged))
    }

    /// Names the program that cannot be started, unless the message already does. If the program
    /// contains a blank, the hint says that words are not split. For backends.
    ///
    /// Errors of other kinds than [`CommandNotFound`](ErrorKind::CommandNotFound) and
    /// [`CommandNotExecutable`](ErrorKind::CommandNotExecutable) are not changed.
    #[must_use]
    pub fn of_command(mut self, argv: &Argv) -> Self {
        if !matches!(self.0.kind, ErrorKind::CommandNotFound | ErrorKind::CommandNotExecutable) {
            return self;
        }
        let program = printable_program(argv);
        if !self.0.message.contains(&program) {
            let cause = std::mem::take(&mut self.0.message);
            let separator = if cause.is_empty() { "" } else { ": " };
            self.0.message = format!("`{program}`{separator}{cause}");
        }
        if argv.program().as_bytes().iter().any(u8::is_ascii_whitespace) {
            return self.with_hint(
                "words are not split at blanks: pass [\"ls\", \"-l\"] and not [\"ls -l\"], or run a shell, [\"sh\", \"-c\", …]",
            );
        }
        self
    }
}

/// Returns the program for a message: on one line, at most 100 characters.
fn printable_program(argv: &Argv) -> String {
    const MAX_CHARS: usize = 100;
    let text = argv.program().to_string_lossy();
    let mut shown = String::new();
    for letter in text.chars().take(MAX_CHARS) {
        match letter {
            '"' | '\'' | '\\' => shown.push(letter),
            _ => shown.extend(letter.escape_debug()),
        }
    }
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_cannot_be_started_is_named() {
        let text = |kind, message: &str, words: &[&str]| {
            let argv = Argv::new(words.iter().copied()).unwrap();
            Error::new(kind, "exec in", message).with_hint("as before").of_command(&argv).to_string()
        };
        let denied = "open executable: Permission denied";
        assert_eq!(
            text(ErrorKind::CommandNotExecutable, denied, &["/etc/passwd", "-x"]),
            format!("exec in: the command cannot be executed: `/etc/passwd`: {denied} (as before)")
        );
        assert_eq!(
            text(ErrorKind::CommandNotFound, "", &["a\u{1}b"]),
            "exec in: command not found: `a\\u{1}b` (as before)"
        );
        let named = "executable file `ls -l` not found";
        let split = text(ErrorKind::CommandNotFound, named, &["ls -l"]);
        assert!(
            split.starts_with(&format!("exec in: command not found: {named} (words are not split")),
            "{split}"
        );
        let long = text(ErrorKind::CommandNotFound, "", &[&"x".repeat(5000)]);
        assert!(long.len() < 200 && long.contains("x…`"), "{long}");
        assert_eq!(text(ErrorKind::BadWorkdir, "gone", &["ls -l"]), "exec in: bad workdir: gone (as before)");
    }
}
