//! The suite is proved: a backend with one fault fails the case that is about it, and without the fault passes it. One
//! trial at a time, because leftovers are counted for the whole process.

#[path = "fixture/fault.rs"]
mod fault;
#[path = "fixture/faulty.rs"]
mod faulty;
#[path = "fixture/faulty_command.rs"]
mod faulty_command;
#[path = "fixture/faulty_container.rs"]
mod faulty_container;
#[path = "fixture/faulty_log.rs"]
mod faulty_log;
#[path = "fixture/null.rs"]
mod null_fixture;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use rt_conformance::{Fixture, Need, Outcome, Suite, find};
use rt_null::NullRuntime;
use rt_protocol::{ContainerName, ContainerRuntime, ImageRef, LaunchSpec, NamePrefix};

use fault::Fault;
use faulty::Faulty;
use null_fixture::NullFixture;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut controls: Vec<&str> = Fault::ALL.iter().map(|(_, case)| *case).collect();
    controls.sort_unstable();
    controls.dedup();
    let controls = controls.into_iter().map(|case| {
        Trial::test(case, move || match outcome(Fault::Nothing, case)? {
            Outcome::Passed => Ok(()),
            other => Err(Failed::from(other.to_string())),
        })
        .with_kind("sound")
    });
    let faults = Fault::ALL.iter().map(|(fault, case)| {
        Trial::test(format!("{fault:?} is found by `{case}`"), move || match outcome(*fault, case)? {
            Outcome::Failed(_) => Ok(()),
            other => Err(Failed::from(format!("the case has {other}"))),
        })
        .with_kind("fault")
    });
    libtest_mimic::run(&arguments, controls.chain(faults).collect()).exit_code()
}

/// What the case makes of a backend with this fault.
fn outcome(fault: Fault, case: &str) -> Result<Outcome, Failed> {
    let case = find(case).ok_or_else(|| Failed::from(format!("there is no case `{case}`")))?;
    let runtime = NullRuntime::new();
    let fixture =
        FaultyFixture { sound: NullFixture::new(runtime.clone()), fault, sessions: AtomicUsize::new(0) };
    let faulty = Faulty::new(runtime, fault);
    Ok(Suite::new(&faulty, &fixture).run_case(case))
}

/// The fixture of null, whose broken runtime has the fault too, and which counts sessions.
#[derive(Debug)]
struct FaultyFixture {
    sound: NullFixture,
    fault: Fault,
    sessions: AtomicUsize,
}

impl Fixture for FaultyFixture {
    fn prefix(&self) -> &NamePrefix {
        self.sound.prefix()
    }

    fn image(&self) -> &ImageRef {
        self.sound.image()
    }

    fn lacks(&self, need: Need) -> Option<String> {
        self.sound.lacks(need)
    }

    fn image_with_two_names(&self) -> Option<ImageRef> {
        self.sound.image_with_two_names()
    }

    fn before_start(&self, spec: &LaunchSpec) {
        self.sound.before_start(spec);
    }

    fn after_start(&self, container: &ContainerName) {
        self.sound.after_start(container);
    }

    fn clock(&self) -> Duration {
        self.sound.clock()
    }

    fn exec_sessions(&self, _: &ContainerName) -> Option<usize> {
        // One more whenever somebody asks, as if each command had left one.
        let leaks = usize::from(self.fault == Fault::LeaksASession);
        Some(self.sessions.fetch_add(leaks, Ordering::Relaxed))
    }

    fn broken(&self) -> Option<Arc<dyn ContainerRuntime>> {
        Some(Arc::new(Faulty::new(NullFixture::broken_runtime(), self.fault)))
    }
}
