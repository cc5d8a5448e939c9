//! One call, as its verb works with it.

use crate::answer::Answer;
use crate::fault::Faults;
use crate::flags::Words;
use crate::profile::Profile;
use crate::store::Store;

/// What a verb works with.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) profile: Profile,
    pub(crate) store: Store,
    pub(crate) words: Words,
    pub(crate) faults: Faults,
    /// The OCI runtime that the call names.
    pub(crate) oci_runtime: String,
    /// Everything behind the program's name.
    pub(crate) line: Vec<String>,
}

impl Call {
    /// The word of a call that has one.
    pub(crate) fn operand(&self) -> Result<&str, Answer> {
        match &self.words.operands[..] {
            [word] => Ok(word),
            words => Err(Answer::refused(125, format!("Error: accepts 1 arg(s), received {}", words.len()))),
        }
    }
}
