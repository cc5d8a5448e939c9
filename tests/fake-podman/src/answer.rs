//! What one call of the program comes to: bytes for stdout, text for stderr, an exit code.

use std::io;

/// What a verb answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) code: u8,
}

/// An answer; the error is one too, so that `?` ends a verb with podman's words.
pub(crate) type Reply = Result<Answer, Answer>;

impl Answer {
    /// Success, with this on stdout.
    pub(crate) fn out(text: impl Into<String>) -> Self {
        Self { stdout: text.into().into_bytes(), ..Self::default() }
    }

    /// Success without a word.
    pub(crate) fn silent() -> Self {
        Self::default()
    }

    /// An exit code without a word.
    pub(crate) fn code(code: u8) -> Self {
        Self { code, ..Self::default() }
    }

    /// A failure with these words on stderr.
    pub(crate) fn refused(code: u8, stderr: impl Into<String>) -> Self {
        let mut stderr = stderr.into();
        stderr.push('\n');
        Self { stdout: Vec::new(), stderr, code }
    }

    /// A failure of this program, not one that podman would have.
    pub(crate) fn own(what: impl std::fmt::Display) -> Self {
        Self::refused(125, format!("Error: fake-podman: {what}"))
    }

    /// The same with this on stdout.
    pub(crate) fn with_stdout(mut self, text: &str) -> Self {
        self.stdout = text.as_bytes().to_vec();
        self
    }
}

impl From<io::Error> for Answer {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.source()) {
            Some(source) => Self::own(format!("{error}: {source}")),
            None => Self::own(error),
        }
    }
}

impl From<rustix::io::Errno> for Answer {
    fn from(error: rustix::io::Errno) -> Self {
        Self::own(error)
    }
}

impl From<serde_json::Error> for Answer {
    fn from(error: serde_json::Error) -> Self {
        Self::own(error)
    }
}
