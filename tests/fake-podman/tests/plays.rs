//! What rt-podman makes of commands on the fake podman, in each version and with each fault. Needs
//! what the fake needs to run commands; where it is missing, every case is reported as ignored,
//! with the reason.

#![allow(clippy::unwrap_used, reason = "the panic of a case is its report")]

#[path = "stage/engine.rs"]
mod engine;
#[path = "stage/evidence.rs"]
mod evidence;
#[path = "stage/executions.rs"]
mod executions;
#[path = "stage/refusals.rs"]
mod refusals;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

use engine::{Engine, PROFILES};

/// One case: its name is the fact that it shows.
type Case = (&'static str, fn(&Engine));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most cases wait for most of their time.
    arguments.test_threads.get_or_insert(8);
    let reason = if arguments.list { None } else { engine::cannot_run() };
    let cases = || executions::CASES.iter().chain(evidence::CASES).chain(refusals::CASES).copied();
    let trials = PROFILES
        .into_iter()
        .flat_map(|profile| cases().map(move |case| (profile, case)))
        .map(|(profile, (name, case))| {
            let reason = reason.clone();
            let run = move || {
                if let Some(reason) = reason {
                    return Ok(Completion::ignored_with(reason));
                }
                case(&Engine::new(profile));
                Ok(Completion::Completed)
            };
            Trial::ignorable_test(name, run).with_kind(profile)
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
