//! The conformance suite on the fake podman as one of the recorded versions; one case at a time,
//! because the suite counts what a case leaves behind in this process. Each version is a test
//! target, so that they run side by side.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rt_conformance::{Case, Group, Outcome, Suite, cases};
use rt_podman::{ExecPath, PodmanRuntime};
use rt_tests::conformance::PodmanFixture;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::engine::{self, Engine};

/// The fact that a stand-in cannot show where it is run by `nohup` or by a shell in the background.
const SIGNALS: &str = "surroundings: no signal is ignored or blocked";

/// Facts of the kernel that a stand-in does not set up for its processes.
const OF_THE_KERNEL: [&str; 10] = [
    "launch: an end for want of memory is not denied",
    "launch: a read-only root takes no file, and a tmpfs in it does",
    "launch: a tmpfs is empty, and has its size and its mode",
    "launch: its processes are limited in number",
    "launch: capabilities are dropped and added",
    "launch: no program gets new privileges if it is told so",
    "launch: a main process that fails is started again, as often as it may",
    "files: a full file system is told",
    "files: an atomic write leaves nothing on a full file system",
    "files: a read-only root is told, and a tmpfs in it written",
];

/// A claim that podman keeps and a stand-in without terminals cannot.
const TERMINAL: &str = "claims: terminal is served or refused";

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
    // Trials live as long as the process, so the runtime and the fixture must too.
    let runtime: &'static PodmanRuntime = Box::leak(Box::new(
        PodmanRuntime::builder().binary(&podman).exec_path(ExecPath::Cold).build().unwrap(),
    ));
    let fixture: &'static PodmanFixture =
        Box::leak(Box::new(PodmanFixture::new(&podman, &image, runtime).unwrap()));
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
        Ok(_) if OF_THE_KERNEL.contains(&case.name()) => {
            Ok(Completion::ignored_with("a stand-in does not set it up"))
        }
        Ok(_) if case.group() == Group::Terminals || case.name() == TERMINAL => {
            Ok(Completion::ignored_with("the stand-in refuses `exec --tty`"))
        }
        Ok(suite) => match suite.run_case(case) {
            Outcome::Passed => Ok(Completion::Completed),
            Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            failed @ Outcome::Failed(_) => Err(Failed::from(failed.to_string())),
        },
    };
    Trial::ignorable_test(case.name(), run).with_kind(format!("fake {profile}"))
}

fn ignores_signals() -> bool {
    // Rust ignores SIGPIPE for its own process, and for none that it starts; the C library keeps 32
    // and 33.
    const OTHERS: u64 = 0x7fff_ffff & !(1 << 12);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & OTHERS != 0)
}
