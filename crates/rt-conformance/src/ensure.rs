//! The assertions of the cases. [`crate::context`] has what they do with the backend.

use std::fmt::Debug;

use rt_protocol::{ContainerRemoveResult, Error, ErrorKind};

use crate::{Failure, Verdict};

/// Returns a failure with this text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if $condition { Ok(()) } else { Err($crate::failure::Failure::new(format!($($text)+))) }
    };
}

/// Returns a failure unless the two are equal; the second is the expected value.
macro_rules! ensure_eq {
    ($seen:expr, $expected:expr, $what:expr) => {
        match (&$seen, &$expected) {
            (seen, expected) if *seen == *expected => Ok(()),
            (seen, expected) => Err($crate::ensure::differs($what, seen, expected)),
        }
    };
}

/// Fails the case unless every container was removed or did not exist.
pub(crate) fn all_removed(results: Vec<ContainerRemoveResult>) -> Verdict {
    results.into_iter().find_map(|result| result.error).map_or(Ok(()), |error| Err(error.into()))
}

/// How much of a value a failure shows, in characters.
const SHOWN_CHARACTERS: usize = 400;

/// Returns a value as text, shortened.
pub(crate) fn shown(value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns the failure for two values that differ.
pub(crate) fn differs(what: &str, seen: &dyn Debug, expected: &dyn Debug) -> Failure {
    Failure::new(format!("{what}: expected {}, saw {}", shown(expected), shown(seen)))
}

/// Fails unless the two are the same bytes, and says where they differ.
pub(crate) fn same_bytes(what: &str, seen: &[u8], expected: &[u8]) -> Verdict {
    if seen == expected {
        return Ok(());
    }
    let place = seen.iter().zip(expected).take_while(|(seen, expected)| seen == expected).count();
    let near = |bytes: &[u8]| shown(&bytes[place.min(bytes.len())..].iter().take(16).collect::<Vec<_>>());
    Err(Failure::new(format!(
        "{what}: {} bytes instead of {}, different from byte {place} on: {} instead of {}",
        seen.len(),
        expected.len(),
        near(seen),
        near(expected),
    )))
}

/// Fails unless the call failed with this kind.
pub(crate) fn ensure_refused<T: Debug>(answer: Result<T, Error>, kind: ErrorKind) -> Verdict {
    refused(answer, kind).map(drop)
}

/// The same, and returns the error.
pub(crate) fn refused<T: Debug>(answer: Result<T, Error>, kind: ErrorKind) -> Result<Error, Failure> {
    expect_error_of(answer, &[kind])
}

/// Fails unless the call failed with one of these kinds.
pub(crate) fn expect_error_of<T: Debug>(
    answer: Result<T, Error>,
    kinds: &[ErrorKind],
) -> Result<Error, Failure> {
    match answer {
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => Err(Failure::new(format!("expected an error of kind {kinds:?}, saw {error:?}"))),
        Ok(answer) => Err(Failure::new(format!(
            "expected an error of kind {kinds:?}, saw the answer {}",
            shown(&answer)
        ))),
    }
}

/// Fails unless the error says that the command did not run.
pub(crate) fn never_started(error: &Error) -> Verdict {
    ensure!(error.never_started(), "the command may have run: {error:?}")
}
