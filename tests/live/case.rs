//! A case of the live suite, and what it answers.

use libtest_mimic::{Completion, Failed};
use rt_tests::live::Live;

/// One case: its name is the fact that it shows.
pub(crate) type Case = (&'static str, fn(&Live) -> Outcome);

/// What a case answers: any failed step, or a broken expectation by panic.
pub(crate) type Outcome = Result<(), Problem>;

/// Whatever went wrong; it may have happened on another thread.
pub(crate) type Problem = Box<dyn std::error::Error + Send + Sync>;

/// What a case answers that lacks something: ignored, or, where that is required, failed.
pub(crate) fn without(live: &Live, reason: &str) -> Result<Completion, Failed> {
    if live.guests_are_required {
        return Err(Failed::from(format!("required, and it cannot run: {reason}")));
    }
    Ok(Completion::ignored_with(reason))
}
