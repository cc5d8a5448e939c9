//! Runs cases: skips what cannot be decided, catches panics, cleans up, and counts leftovers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use rt_protocol::ContainerRuntime;
use rt_protocol::sync::lock;

use crate::container_cache::ContainerCache;
use crate::leftovers::ResourceSnapshot;
use crate::{Case, Failure, Fixture, Need, Outcome, Report, TestContext, Verdict, cases};

/// One run of the suite on one runtime.
///
/// Containers that several cases only read are created once and kept until the suite is dropped.
#[derive(Debug)]
pub struct Suite<'a> {
    runtime: &'a dyn ContainerRuntime,
    fixture: &'a dyn Fixture,
    cache: ContainerCache,
}

/// Only one case runs at a time: leftovers are counted for the whole process.
static CASE_LOCK: Mutex<()> = Mutex::new(());

impl<'a> Suite<'a> {
    /// Creates a run on `runtime`, which may be the plain type, a `Box<dyn ContainerRuntime>`, an
    /// `Arc`, or a wrapper.
    pub fn new(runtime: &'a dyn ContainerRuntime, fixture: &'a dyn Fixture) -> Self {
        Self { runtime, fixture, cache: ContainerCache::default() }
    }

    /// Runs the cases that `wanted` accepts, and calls `each` after each of them.
    pub fn run(&self, wanted: &dyn Fn(&Case) -> bool, each: &mut dyn FnMut(&Case, &Outcome)) -> Report {
        let mut report = Report::default();
        for case in cases().iter().filter(|case| wanted(case)) {
            let start = Instant::now();
            let outcome = self.run_case(case);
            let took = start.elapsed();
            each(case, &outcome);
            report.add(*case, outcome, took);
        }
        report
    }

    /// Runs every case.
    pub fn run_all(&self) -> Report {
        self.run(&|_| true, &mut |_, _| {})
    }

    /// Runs one case.
    pub fn run_case(&self, case: &Case) -> Outcome {
        // A panic of a case was caught. The lock guards nothing that could be half done.
        let _alone = lock(&CASE_LOCK);
        if let Some(reason) = self.undecidable(case) {
            return Outcome::Skipped(reason);
        }
        // What is created once for all cases is not a leftover of this one.
        let context = TestContext::new(self.runtime, self.fixture, &self.cache);
        if case.fixture_needs().contains(&Need::Shell)
            && let Err(failure) = catch_panic(|| context.warm_up())
        {
            return failure.outcome;
        }
        // What the backend keeps between calls is allowed for neither before nor after.
        self.fixture.release();
        let before = ResourceSnapshot::take();
        let outcome =
            catch_panic(|| case.call(&context)).map_or_else(|failure| failure.outcome, |()| Outcome::Passed);
        let forgotten = case.is_unstarted() && self.fixture.keeps_sessions_of_the_unstarted();
        let cleaned = context.clean_up(!forgotten);
        if outcome.is_failed() {
            context.look_after_standing(case.name());
        }
        drop(context);
        let released = before.map_or(Ok(()), |before| before.wait_for_release()).map_err(Failure::new);
        match (outcome, cleaned.and(released)) {
            (Outcome::Passed, Err(failure)) => failure.outcome,
            (Outcome::Failed(seen), Err(Failure { outcome: Outcome::Failed(left) })) => {
                Outcome::Failed(format!("{seen}; {left}"))
            }
            (outcome, _) => outcome,
        }
    }

    /// Returns whether leftovers can be counted on this system.
    pub fn counts_leftovers() -> bool {
        ResourceSnapshot::take().is_some()
    }

    /// Returns why a case cannot be decided here, if this is known without running it. A case may
    /// still find a reason itself, such as a host without IPv6.
    pub fn undecidable(&self, case: &Case) -> Option<String> {
        let missing = case.capabilities().difference(self.runtime.capabilities());
        if !missing.is_empty() {
            return Some(format!("the backend does not claim {missing}"));
        }
        case.fixture_needs().iter().find_map(|need| {
            let reason = self.fixture.lacks(*need)?;
            Some(format!("the fixture lacks {need}: {reason}"))
        })
    }
}

impl Drop for Suite<'_> {
    fn drop(&mut self) {
        self.cache.clear(self.runtime);
    }
}

/// Treats a panic of the backend or of a case as a failure.
fn catch_panic(this: impl FnOnce() -> Verdict) -> Verdict {
    catch_unwind(AssertUnwindSafe(this))
        .unwrap_or_else(|panic| Err(Failure::new(format!("a panic: {}", panic_text(panic.as_ref())))))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text")
}
