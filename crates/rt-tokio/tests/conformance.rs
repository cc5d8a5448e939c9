//! The suite on the in-memory backend, every verb as a future. One trial at a time, because
//! leftovers are counted for the whole process.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use rt_conformance::{Outcome, Suite, cases};
use rt_null::NullRuntime;
use rt_null::conformance::NullFixture;
use rt_tokio::AsyncRuntime;

use crate::blocking_runtime::{AsyncFixture, BlockingRuntime, executor, undecidable};

#[path = "fixture/blocking_runtime.rs"]
mod blocking_runtime;
#[path = "fixture/lent_streams.rs"]
mod lent_streams;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let null = NullRuntime::new();
    let runtime = AsyncRuntime::new(Arc::new(null.clone()));
    let executor = executor();
    // Trials live as long as the process, and so does what they run on.
    let fixture: &'static NullFixture = Box::leak(Box::new(NullFixture::new(null)));
    let tested = Box::leak(Box::new(BlockingRuntime::new(runtime.clone(), Arc::clone(&executor))));
    let fixture = Box::leak(Box::new(AsyncFixture { fixture, runtime, executor }));
    let suite: &'static Suite<'static> = Box::leak(Box::new(Suite::new(tested, fixture)));
    let trials = cases().iter().map(|case| {
        let reason = undecidable(case).or_else(|| suite.undecidable(case));
        let name = match &reason {
            Some(reason) => format!("{} ({reason})", case.name()),
            None => case.name().to_owned(),
        };
        Trial::test(name, move || match suite.run_case(case) {
            Outcome::Passed => Ok(()),
            other => Err(Failed::from(other.to_string())),
        })
        .with_ignored_flag(reason.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
