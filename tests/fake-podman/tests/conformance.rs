//! The conformance suite on the fake podman, as each of the recorded versions; one case at a time, because the suite
//! counts what a case leaves behind in this process.

#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is its own report")]

#[path = "stage/engine.rs"]
mod engine;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rt_conformance::{Case, Outcome, Suite, cases};
use rt_podman::PodmanRuntime;
use rt_tests::conformance::PodmanFixture;

use engine::Engine;

/// The versions whose answers were recorded.
const RECORDED: [&str; 2] = ["4.3.1", "5.4.2"];

/// The fact that a stand-in cannot show where it is run by `nohup` or by a shell in the background.
const SIGNALS: &str = "surroundings: no signal is ignored or blocked";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        let trials = RECORDED.iter().flat_map(|profile| trials(profile, &Err(String::new()))).collect();
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    let reason = engine::cannot_run();
    let mut code = ExitCode::SUCCESS;
    for profile in RECORDED {
        let engine = Engine::new(profile);
        let stage = match &reason {
            Some(reason) => Err(reason.clone()),
            None => Ok(stage(&engine)),
        };
        let conclusion = libtest_mimic::run(&arguments, trials(profile, &stage));
        if conclusion.has_failed() {
            code = conclusion.exit_code();
        }
        // The containers that the suite keeps are removed before the engine is.
        drop(stage);
    }
    code
}

fn stage(engine: &Engine) -> Arc<Suite<'static>> {
    let image = engine.import();
    let podman = engine.wrapper();
    // A trial lives as long as the process, and so does what it runs on.
    let runtime: &'static PodmanRuntime =
        Box::leak(Box::new(PodmanRuntime::builder().binary(&podman).build().unwrap()));
    let fixture: &'static PodmanFixture = Box::leak(Box::new(PodmanFixture::new(&podman, &image).unwrap()));
    Arc::new(Suite::new(runtime, fixture))
}

fn trials(profile: &str, stage: &Result<Arc<Suite<'static>>, String>) -> Vec<Trial> {
    cases().iter().map(|case| trial(profile, case, stage.clone())).collect()
}

fn trial(profile: &str, case: &'static Case, stage: Result<Arc<Suite<'static>>, String>) -> Trial {
    let run = move || match stage {
        Err(reason) => Ok(Completion::ignored_with(reason)),
        Ok(_) if case.name() == SIGNALS && ignores_signals() => Ok(Completion::ignored_with(
            "this process was started with signals ignored, and the stand-in passes them on",
        )),
        Ok(suite) => match suite.run_case(case) {
            Outcome::Passed => Ok(Completion::Completed),
            Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            failed @ Outcome::Failed(_) => Err(Failed::from(failed.to_string())),
        },
    };
    Trial::ignorable_test(case.name(), run).with_kind(format!("fake {profile}"))
}

fn ignores_signals() -> bool {
    // Rust ignores SIGPIPE for its own process, and for none that it starts; the C library keeps 32 and 33.
    const OTHERS: u64 = 0x7fff_ffff & !(1 << 12);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & OTHERS != 0)
}
