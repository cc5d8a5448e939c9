//! The conformance suite on real podman and through rt-krun, one trial for each case.

use std::sync::{Arc, OnceLock};

use libtest_mimic::{Completion, Failed, Trial};
use rt_conformance::{Case, Outcome, Suite, cases};
use rt_tests::conformance::PodmanFixture;
use rt_tests::conformance::krun::{Ground, KrunSuite};
use rt_tests::live::Live;

use crate::shard::{Theme, timed};

/// A theme for each backend that is asked; without a podman each trial is ignored with this reason.
pub(crate) fn themes(live: Option<&Result<Arc<Live>, String>>) -> Vec<Theme> {
    let live = live.map(|live| match live {
        // The suites borrow it for as long as they have trials.
        Ok(live) => Ok(&**Box::leak(Box::new(Arc::clone(live)))),
        Err(reason) => Err(reason.clone()),
    });
    let grounds = Ground::ALL.into_iter().flat_map(|ground| {
        let (seconds, parts): (u32, u8) = match ground {
            // More than a shard is to take: two suites, with guests of their own.
            Ground::Container => (520, 2),
            Ground::ContainerAsDev => (40, 1),
            Ground::Loopback => (185, 1),
            Ground::LoopbackAsRoot => (50, 1),
            Ground::Machine => (107, 1),
        };
        let wanted: Vec<&'static Case> = cases().iter().filter(|case| ground.wants(case)).collect();
        let themes = wanted
            .chunks(wanted.len().div_ceil(parts.into()))
            .map(|part| Theme::new(seconds / u32::from(parts), krun(ground, part, live.as_ref())));
        themes.collect::<Vec<_>>()
    });
    [Theme::new(230, podman(live.as_ref()))].into_iter().chain(grounds).collect()
}

fn podman(live: Option<&Result<&'static Live, String>>) -> Vec<Trial> {
    let suite = live.cloned().map(|live| live.map(podman_suite));
    cases()
        .iter()
        .map(|case| {
            let suite = suite.clone();
            timed(format!("conformance: {}", case.name()), move || match suite {
                None => Ok(Completion::Completed),
                Some(Err(reason)) => Ok(Completion::ignored_with(reason)),
                Some(Ok(suite)) => run(&suite, case),
            })
        })
        .collect()
}

/// The guests are made for the first trial that is run, and removed after the last.
fn krun(ground: Ground, cases: &[&'static Case], live: Option<&Result<&'static Live, String>>) -> Vec<Trial> {
    let suite = Arc::new(OnceLock::<Result<KrunSuite, String>>::new());
    let trial = |case: &&'static Case| {
        let case = *case;
        let (suite, live) = (Arc::clone(&suite), live.cloned());
        timed(format!("conformance ({}): {}", ground.name(), case.name()), move || {
            let live = match live {
                None => return Ok(Completion::Completed),
                Some(Err(reason)) => return Ok(Completion::ignored_with(reason)),
                Some(Ok(live)) => live,
            };
            if let Some(reason) = ground.missing(live) {
                return crate::case::without(live, reason);
            }
            let prepared = suite.get_or_init(|| ground.prepare(live).map_err(|error| error.to_string()));
            prepared.as_ref().map_err(Failed::from).and_then(|prepared| run(&prepared.suite, case))
        })
    };
    cases.iter().map(trial).collect()
}

fn run(suite: &Suite<'_>, case: &Case) -> Result<Completion, Failed> {
    match suite.run_case(case) {
        Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
        Outcome::Failed(seen) => Err(Failed::from(seen)),
        Outcome::Passed => Ok(Completion::Completed),
    }
}

/// The suite keeps containers that many cases look at, and removes them when it is dropped: after the last trial.
fn podman_suite(live: &'static Live) -> Arc<Suite<'static>> {
    let fixture = PodmanFixture::new(&live.podman, &live.image).expect("a well-formed prefix");
    let fixture: &'static PodmanFixture = Box::leak(Box::new(fixture));
    Arc::new(Suite::new(&live.runtime, fixture))
}
