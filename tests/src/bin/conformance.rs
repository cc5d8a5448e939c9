//! Runs the conformance suite on one backend and prints its report: `conformance null|podman|krun
//! [PART OF A NAME]`.

use std::process::ExitCode;

use rt_conformance::{Case, Fixture, Outcome, Suite};
use rt_podman::ExecPath;
use rt_protocol::ContainerRuntime;
use rt_tests::conformance::PodmanFixture;
use rt_tests::conformance::krun::Ground;
use rt_tests::live::{Live, chosen_exec_path};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (backend, filter) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match backend.as_str() {
        "null" => {
            let runtime = rt_null::NullRuntime::new();
            let fixture = rt_null::conformance::NullFixture::new(runtime.clone());
            report(&runtime, &fixture, &filter)
        }
        "podman" => match Live::from_environment() {
            Ok(live) => match PodmanFixture::new(&live.podman, &live.image, &live.runtime) {
                Ok(fixture) => match live.cgroups() {
                    Ok(()) => report(&live.runtime, &fixture, &filter),
                    Err(reason) => report(&live.runtime, &fixture.without_cgroups(reason), &filter),
                },
                Err(error) => failed(&error.to_string()),
            },
            Err(missing) => failed(&missing.reason),
        },
        "krun" => match Live::from_environment() {
            Ok(live) => krun(Box::leak(Box::new(live)), &filter),
            Err(missing) => failed(&missing.reason),
        },
        _ => failed("usage: conformance null|podman|krun [PART OF A NAME]"),
    }
}

/// One report for each kind of guest.
fn krun(live: &'static Live, filter: &str) -> ExitCode {
    let path = chosen_exec_path().unwrap_or(ExecPath::Warm);
    let mut code = ExitCode::SUCCESS;
    for ground in Ground::ALL {
        println!("\n{}", ground.name());
        let prepared = match ground.missing(live) {
            Some(reason) => Err(String::from(reason)),
            None => ground.prepare(live, path).map_err(|error| error.to_string()),
        };
        let answer = match prepared {
            Ok(prepared) => run(&prepared.suite, &|case| ground.wants(case) && case.name().contains(filter)),
            Err(reason) => failed(&reason),
        };
        if answer != ExitCode::SUCCESS {
            code = answer;
        }
    }
    code
}

fn report(runtime: &dyn ContainerRuntime, fixture: &dyn Fixture, filter: &str) -> ExitCode {
    println!("{}", runtime.id());
    run(&Suite::new(runtime, fixture), &|case| case.name().contains(filter))
}

fn run(suite: &Suite<'_>, wanted: &dyn Fn(&Case) -> bool) -> ExitCode {
    let report = suite.run(wanted, &mut |case, outcome| {
        if let Outcome::Failed(seen) = outcome {
            eprintln!("failed: {}: {seen}", case.name());
        }
    });
    println!("{report}");
    if report.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("conformance: {why}");
    ExitCode::FAILURE
}
