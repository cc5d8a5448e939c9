//! The suite is proved: a backend with one fault fails the case that is about it, and without the
//! fault passes it. One trial at a time, because leftovers are counted for the whole process.

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

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use rt_conformance::{Case, Fixture, Group, Need, Outcome, ServedImages, Suite, find};
use rt_null::NullRuntime;
use rt_null::conformance::NullFixture;
use rt_protocol::{
    ContainerFilter, ContainerName, ContainerRuntime, ErrorKind, ImageRef, LaunchSpec, NamePrefix, Until,
};

use fault::Fault;
use faulty::Faulty;

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
    let dead = Trial::test("a container that is dead for all cases is told once", dead_is_told_once);
    libtest_mimic::run(&arguments, controls.chain(faults).chain([dead]).collect()).exit_code()
}

/// Of a standing container that ends early, or cannot be made, one case tells; the others that need
/// it are skipped.
fn dead_is_told_once() -> Result<(), Failed> {
    let wanted = |case: &Case| case.group() == Group::Exec;
    for (what, dies) in [("cannot be made", false), ("dies", true)] {
        let runtime = NullRuntime::new();
        let fixture = NullFixture::new(runtime.clone());
        if !dies {
            let refused = rt_null::Fault::refused(ErrorKind::BackendFailed, "no container today");
            runtime.inject(rt_null::Operation::Create, rt_null::Scope::all(), rt_null::When::Every, refused);
        }
        let mut ran = 0;
        let report = Suite::new(&runtime, &fixture).run(&wanted, &mut |_, _| {
            ran += 1;
            if dies && ran == 3 {
                for info in runtime.list(&ContainerFilter::all(), &Until::forever()).unwrap_or_default() {
                    let _ = runtime.end(&info.name, 1);
                }
            }
        });
        if (report.failed(), report.skipped() > 10) != (1, true) {
            return Err(Failed::from(format!("the container {what}: {report}")));
        }
    }
    Ok(())
}

/// What the case makes of a backend with this fault.
fn outcome(fault: Fault, case: &str) -> Result<Outcome, Failed> {
    let case = find(case).ok_or_else(|| Failed::from(format!("there is no case `{case}`")))?;
    let sound = NullFixture::wrapped_by(move |runtime| Arc::new(Faulty::new(runtime, fault)));
    let fixture = FaultyFixture { sound, fault, sessions: AtomicUsize::new(0) };
    Ok(Suite::new(&fixture.sound.runtime(), &fixture).run_case(case))
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

    fn registry(&self) -> Option<ServedImages> {
        self.sound.registry()
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
        self.sound.broken()
    }
}
