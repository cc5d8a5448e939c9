//! The conformance suite on real podman, one trial for each case.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};
use rt_conformance::{Outcome, Suite, cases};
use rt_tests::conformance::PodmanFixture;
use rt_tests::live::Live;

/// The trials; without a podman each of them is ignored with this reason.
pub(crate) fn trials(live: Option<&Result<Arc<Live>, String>>) -> Vec<Trial> {
    let suite = match live {
        Some(Ok(live)) => Some(Ok(suite(Arc::clone(live)))),
        Some(Err(reason)) => Some(Err(reason.clone())),
        None => None,
    };
    cases()
        .iter()
        .map(|case| {
            let suite = suite.clone();
            Trial::ignorable_test(format!("conformance: {}", case.name()), move || match suite {
                None => Ok(Completion::Completed),
                Some(Err(reason)) => Ok(Completion::ignored_with(reason)),
                Some(Ok(suite)) => match suite.run_case(case) {
                    Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
                    Outcome::Failed(seen) => Err(Failed::from(seen)),
                    Outcome::Passed => Ok(Completion::Completed),
                },
            })
        })
        .collect()
}

/// The suite keeps containers that many cases look at, and removes them when it is dropped: after the last trial.
fn suite(live: Arc<Live>) -> Arc<Suite<'static>> {
    let live: &'static Live = Box::leak(Box::new(live));
    let fixture = PodmanFixture::new(live).expect("a well-formed prefix");
    let fixture: &'static PodmanFixture = Box::leak(Box::new(fixture));
    Arc::new(Suite::new(&live.runtime, fixture))
}
