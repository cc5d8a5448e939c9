//! The two outputs of a command or container.

use crate::word_enum;

/// Which output of the container a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

word_enum!(OutputStream, "output stream", { Stdout = "stdout", Stderr = "stderr", });
