//! A command and its arguments, checked once.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::InvalidValue;

/// A command and its arguments: at least one word, the first not empty, no NUL byte in any.
///
/// Words are bytes, as `execve` takes them. A backend that only supports UTF-8 rejects other words
/// with [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) before it starts anything, see
/// [`Capability::ByteArguments`](crate::Capability::ByteArguments).
///
/// No shell interprets the words. The first is always the command, whatever it contains.
///
/// ```
/// use rt_protocol::Argv;
///
/// let argv = Argv::new(["echo", "a b", "; rm -rf /"])?;
/// assert_eq!(argv.program(), "echo");
/// assert_eq!(argv.len(), 3);
/// assert!(Argv::new(Vec::<String>::new()).is_err());
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Argv(Vec<OsString>);

impl Argv {
    /// Checks the words. They are not changed.
    ///
    /// # Errors
    /// No word, an empty first word, or a NUL byte in a word.
    pub fn new<I, S>(words: I) -> Result<Self, InvalidValue>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        match words.first() {
            None => return Err(InvalidValue::new("argv", "", "a command needs at least one word")),
            Some(program) if program.is_empty() => {
                return Err(InvalidValue::new("argv", "", "the first word, the program, is empty"));
            }
            Some(_) => {}
        }
        match words.iter().position(|word| word.as_bytes().contains(&0)) {
            // The word may be a secret, so only its position is shown.
            Some(place) => Err(InvalidValue::hidden("argv", format!("word {place} contains a NUL byte"))),
            None => Ok(Self(words)),
        }
    }

    /// Returns the first word.
    pub fn program(&self) -> &OsStr {
        &self.0[0]
    }

    /// Returns all words after the first.
    pub fn arguments(&self) -> &[OsString] {
        &self.0[1..]
    }

    /// Returns all words.
    pub fn words(&self) -> &[OsString] {
        &self.0
    }

    /// Iterates over all words.
    pub fn iter(&self) -> std::slice::Iter<'_, OsString> {
        self.0.iter()
    }

    /// Returns the number of words; never 0.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether every word is UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.0.iter().all(|word| word.to_str().is_some())
    }
}

impl IntoIterator for Argv {
    type Item = OsString;
    type IntoIter = std::vec::IntoIter<OsString>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Argv {
    type Item = &'a OsString;
    type IntoIter = std::slice::Iter<'a, OsString>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl AsRef<[OsString]> for Argv {
    fn as_ref(&self) -> &[OsString] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn its_words_are_iterated_in_order() {
        let argv = Argv::new(["sh", "-c", "exit"]).unwrap();
        assert_eq!((&argv).into_iter().collect::<Vec<_>>(), ["sh", "-c", "exit"]);
        assert_eq!(argv.into_iter().collect::<Vec<_>>(), ["sh", "-c", "exit"]);
    }

    proptest! {
        #[test]
        fn accepted_exactly_when_not_empty_and_without_nul(
            words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..6)
        ) {
            let good = words.first().is_some_and(|first| !first.is_empty())
                && words.iter().all(|word| !word.contains(&0));
            let given: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            match Argv::new(given.clone()) {
                Ok(argv) => {
                    prop_assert!(good);
                    prop_assert_eq!(argv.words(), &given[..]);
                }
                Err(_) => prop_assert!(!good),
            }
        }
    }

    #[test]
    fn a_refused_word_is_not_shown() {
        let refused = Argv::new(["login", "hunter2\0"]).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        assert!(refused.to_string().contains("word 1"), "{refused}");
    }

    #[test]
    fn an_argv_is_its_program_and_its_arguments() {
        let argv = Argv::new(["cc", "-o", "x"]).unwrap();
        assert_eq!((argv.program(), argv.len()), (OsStr::new("cc"), 3));
        assert_eq!(argv.arguments(), ["-o", "x"]);
        assert_eq!(argv.words(), ["cc", "-o", "x"]);
        assert_eq!(AsRef::<[OsString]>::as_ref(&argv), argv.words());
        assert!(Argv::new(["cc"]).unwrap().arguments().is_empty());
    }
}
