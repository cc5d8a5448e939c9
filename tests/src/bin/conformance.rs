//! Runs the conformance suite on one backend and prints its report: `conformance null|podman [PART OF A NAME]`.

#[allow(dead_code, reason = "the suite's own tests use more of it")]
#[path = "../../../crates/rt-conformance/tests/fixture/null.rs"]
mod null_fixture;

use std::process::ExitCode;

use rt_conformance::{Fixture, Outcome, Suite};
use rt_protocol::ContainerRuntime;
use rt_tests::conformance::PodmanFixture;
use rt_tests::live::Live;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (backend, filter) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match backend.as_str() {
        "null" => {
            let runtime = rt_null::NullRuntime::new();
            let fixture = null_fixture::NullFixture::new(runtime.clone());
            report(&runtime, &fixture, &filter)
        }
        "podman" => match Live::from_environment() {
            Ok(live) => match PodmanFixture::new(&live) {
                Ok(fixture) => report(&live.runtime, &fixture, &filter),
                Err(error) => failed(&error.to_string()),
            },
            Err(missing) => failed(&missing.reason),
        },
        _ => failed("usage: conformance null|podman [PART OF A NAME]"),
    }
}

fn report(runtime: &dyn ContainerRuntime, fixture: &dyn Fixture, filter: &str) -> ExitCode {
    let suite = Suite::new(runtime, fixture);
    let report = suite.run(&|case| case.name().contains(filter), &mut |case, outcome| {
        if let Outcome::Failed(seen) = outcome {
            eprintln!("failed: {}: {seen}", case.name());
        }
    });
    println!("{}\n{report}", runtime.id());
    if report.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("conformance: {why}");
    ExitCode::FAILURE
}
