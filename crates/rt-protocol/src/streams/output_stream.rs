//! The two outputs of a command or container.

use crate::word_enum;

word_enum! {
    /// An output of a command or container.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum OutputStream: "output stream" {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}
