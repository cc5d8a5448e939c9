//! The one error type of `xtask`: a text for the person at the terminal, and what a command said
//! before it failed. No kinds and no sources; nothing here decides by the sort of an error.

use std::fmt;
use std::path::Path;

/// What every fallible function of `xtask` returns.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why something did not work, as a fragment that reads well after "xtask: ".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    text: String,
    /// What the command at fault printed last.
    output: Vec<String>,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), output: Vec::new() }
    }

    /// A failed file operation: what was tried, where, and what the system said.
    pub(crate) fn io(verb: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// The same with the last lines of a command's output.
    pub(crate) fn after(self, output: Vec<String>) -> Self {
        Self { output, ..self }
    }

    /// Several at once, each with its own last lines.
    pub(crate) fn all(failures: Vec<Self>) -> Self {
        let text = failures.iter().map(|failure| failure.text.as_str()).collect::<Vec<_>>().join("; ");
        Self { text, output: failures.into_iter().flat_map(|failure| failure.output).collect() }
    }

    pub(crate) fn output(&self) -> &[String] {
        &self.output
    }

    /// The text on one line, for environment variables and table cells.
    pub(crate) fn one_line(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
