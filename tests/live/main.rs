//! The live suite: real podman, one case at a time, and after each case a count of what it left behind.

#![allow(clippy::unwrap_used, reason = "the panic of a case is its report")]

mod agreement;
mod conformance;
mod copying;
mod errors;
mod events;
mod execs;
mod gpu;
mod lifecycle;
mod logs;
mod misuse;
mod profile;
mod quickstart;
mod ready;
mod redaction;
mod secrets;
mod streams;
mod tar_streams;
mod timeouts;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;

/// One case: its name is the fact that it shows.
type Case = (&'static str, fn(&Live) -> Outcome);

/// What a case answers: any failed step, or a broken expectation by panic.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // What one case leaves behind must not be counted against another.
    arguments.test_threads = Some(1);
    let live = if arguments.list { None } else { Some(Live::from_environment()) };
    if let Some(Err(missing)) = &live
        && missing.demanded
    {
        eprintln!("the live suite is demanded and cannot run: {}", missing.reason);
        return ExitCode::FAILURE;
    }
    let live = live.map(|live| live.map(Arc::new).map_err(|missing| missing.reason));
    let mut trials: Vec<_> = cases().map(|(name, case)| trial(name, case, |_| None, live.clone())).collect();
    trials.extend(gpu::CASES.iter().map(|(name, case)| trial(name, *case, gpu::obstacle, live.clone())));
    trials.extend(conformance::trials(live.as_ref()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn cases() -> impl Iterator<Item = Case> {
    [
        execs::CASES,
        timeouts::CASES,
        streams::CASES,
        errors::CASES,
        misuse::CASES,
        secrets::CASES,
        lifecycle::CASES,
        logs::CASES,
        copying::CASES,
        tar_streams::CASES,
        ready::CASES,
        profile::CASES,
        events::CASES,
        quickstart::CASES,
        agreement::CASES,
        redaction::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// A trial of a case; `obstacle` answers why this case cannot run where others can.
fn trial(
    name: &'static str,
    case: fn(&Live) -> Outcome,
    obstacle: fn(&Live) -> Option<String>,
    live: Option<Result<Arc<Live>, String>>,
) -> Trial {
    Trial::ignorable_test(name, move || {
        let live = match live {
            None => return Ok(Completion::Completed),
            Some(Err(reason)) => return Ok(Completion::ignored_with(reason)),
            Some(Ok(live)) => live,
        };
        if let Some(reason) = obstacle(&live) {
            return Ok(Completion::ignored_with(reason));
        }
        let before = Leftovers::now();
        case(&live).map_err(|error| Failed::from(error.to_string()))?;
        Leftovers::check_against(&before)?;
        Ok(Completion::Completed)
    })
}
