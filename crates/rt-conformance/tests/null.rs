//! The suite on the in-memory backend: every case through the plain type, and the cheap ones
//! through the pointer types. One trial at a time, because leftovers are counted for the whole
//! process.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use rt_conformance::{Case, Group, Outcome, Suite, cases};
use rt_null::NullRuntime;
use rt_null::conformance::NullFixture;
use rt_protocol::{Capabilities, Capability, ContainerRuntime};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let runtime = NullRuntime::new();
    let boxed: Box<dyn ContainerRuntime> = Box::new(runtime.clone());
    let shared: Arc<dyn ContainerRuntime> = Arc::new(runtime.clone());
    // Trials live as long as the process, and so does what they run on.
    let fixture: &'static NullFixture = Box::leak(Box::new(NullFixture::new(runtime.clone())));
    let mut trials = vec![Trial::test("leftovers can be counted here", || {
        if Suite::counts_leftovers() { Ok(()) } else { Err(Failed::from("there is no /proc")) }
    })];
    trials.extend(trials_on("plain", Box::new(runtime.clone()), fixture, &|_| true));
    // Forwarders pass on and add nothing: each method once or twice is enough, and `claims` has
    // them all.
    let groups = [
        Group::Identity,
        Group::Lifecycle,
        Group::Exec,
        Group::Images,
        Group::Ports,
        Group::Bulk,
        Group::Claims,
    ];
    let cheap = |case: &Case| groups.contains(&case.group());
    trials.extend(trials_on("box", Box::new(boxed), fixture, &cheap));
    trials.extend(trials_on("arc", Box::new(shared), fixture, &cheap));
    trials.extend(Capability::ALL.iter().map(|capability| {
        Trial::test(format!("without {capability}, nothing fails and claims agree"), || lesser(*capability))
            .with_kind("less")
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A runtime that can do one thing less: what cannot be decided is skipped, and the answers still
/// agree with the claims.
fn lesser(capability: Capability) -> Result<(), Failed> {
    let runtime = NullRuntime::with_capabilities(Capabilities::all().without(capability));
    let fixture = NullFixture::new(runtime.clone());
    let suite = Suite::new(&runtime, &fixture);
    let groups = [Group::Claims, Group::Identity, Group::Settings, Group::Images, Group::Bulk];
    let report = suite.run(&|case| groups.contains(&case.group()), &mut |_, _| {});
    if report.ok() && report.passed() > 0 { Ok(()) } else { Err(Failed::from(report.to_string())) }
}

/// The trials of one suite on `tested`, a view of the fixture's runtime. What needs a reason to be
/// skipped says it in the name.
fn trials_on(
    kind: &str,
    tested: Box<dyn ContainerRuntime>,
    fixture: &'static NullFixture,
    wanted: &dyn Fn(&Case) -> bool,
) -> Vec<Trial> {
    let tested: &'static dyn ContainerRuntime = Box::leak(tested);
    let suite: &'static Suite<'static> = Box::leak(Box::new(Suite::new(tested, fixture)));
    cases()
        .iter()
        .filter(|case| wanted(case))
        .map(|case| {
            let reason = suite.undecidable(case);
            let name = match &reason {
                Some(reason) => format!("{} ({reason})", case.name()),
                None => case.name().to_owned(),
            };
            Trial::test(name, move || match suite.run_case(case) {
                Outcome::Passed => Ok(()),
                other => Err(Failed::from(other.to_string())),
            })
            .with_kind(kind)
            .with_ignored_flag(reason.is_some())
        })
        .collect()
}
