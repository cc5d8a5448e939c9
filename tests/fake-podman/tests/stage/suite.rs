//! The conformance suite on the fake podman as one of the recorded versions; one case at a time, because the suite counts
//! what a case leaves behind in this process. Each version is a test target, so that they run side by side.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rt_conformance::{Case, Outcome, Suite, cases};
use rt_podman::PodmanRuntime;
use rt_tests::conformance::PodmanFixture;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::engine::{self, Engine};

/// The fact that a stand-in cannot show where it is run by `nohup` or by a shell in the background.
const SIGNALS: &str = "surroundings: no signal is ignored or blocked";

pub(crate) fn run(profile: &'static str) -> ExitCode {
    // No fact depends on the caller's, so they are asked under the strictest.
    umask(Mode::RWXG | Mode::RWXO);
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(profile, &Err(String::new()))).exit_code();
    }
    let engine = Engine::new(profile);
    let stage = match engine::cannot_run() {
        Some(reason) => Err(reason),
        None => Ok(stage(&engine)),
    };
    let code = libtest_mimic::run(&arguments, trials(profile, &stage)).exit_code();
    // The containers that the suite keeps are removed before the engine is.
    drop(stage);
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
