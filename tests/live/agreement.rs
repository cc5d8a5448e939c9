//! Null and podman agree, state by state, on random sequences of operations.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rt_null::{ArgvPattern, ExecReply, NullRuntime, Scope};
use rt_protocol::{
    ContainerExt, ContainerName, ContainerRuntime, ContainerRuntimeExt, ContainerState, ErrorKind,
    ExecRequest, ExitOutcome, LaunchSpec, NamePrefix, Network, Result, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] =
    &[("agreement: null and podman answer random sequences of operations alike", agreement)];

/// One step on one of two containers.
#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Start(usize),
    Stop(usize),
    Remove(usize),
    Exec(usize, u8),
    MissingCommand(usize),
    LateExec(usize),
}

/// What a step is answered, as far as both can know it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Outcome(ExitOutcome),
    Removed(bool),
    Refused(ErrorKind),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..2_usize;
    prop_oneof![
        3 => which.clone().prop_map(Step::Create),
        4 => which.clone().prop_map(Step::Start),
        2 => which.clone().prop_map(Step::Stop),
        2 => which.clone().prop_map(Step::Remove),
        4 => (which.clone(), prop_oneof![Just(0), Just(3), Just(125), Just(127), any::<u8>()])
            .prop_map(|(which, code)| Step::Exec(which, code)),
        1 => which.clone().prop_map(Step::MissingCommand),
        1 => which.prop_map(Step::LateExec),
    ]
}

/// One side of the comparison.
struct Side<'a> {
    runtime: &'a dyn ContainerRuntime,
    names: [ContainerName; 2],
    image: &'a str,
}

impl Side<'_> {
    fn take(&self, step: &Step) -> Answer {
        let done =
            |result: Result<()>| result.map_or_else(|error| Answer::Refused(error.kind()), |()| Answer::Done);
        let container = |which: usize| self.runtime.container(&self.names[which]);
        let exec = |which: usize, argv: &[&str], until: &Until| {
            let request = ExecRequest::new(argv.iter().copied()).expect("a well-formed command");
            match container(which).exec(&request, until) {
                Ok(result) => Answer::Outcome(result.outcome),
                Err(error) => Answer::Refused(error.kind()),
            }
        };
        match step {
            Step::Create(which) => {
                let spec = LaunchSpec::builder(self.names[*which].as_str(), self.image)
                    .network(Network::None)
                    .command(["sleep", "777777"])
                    .build()
                    .expect("a well-formed description");
                done(self.runtime.create(&spec, &minute()).map(drop))
            }
            Step::Start(which) => done(container(*which).start(&minute())),
            Step::Stop(which) => done(container(*which).stop(Duration::ZERO, &minute())),
            Step::Remove(which) => {
                let results = self.runtime.force_remove(&self.names[*which..=*which], &minute());
                Answer::Removed(results.iter().all(|result| result.removed))
            }
            Step::Exec(which, code) => exec(*which, &["sh", "-c", &format!("exit {code}")], &minute()),
            Step::MissingCommand(which) => exec(*which, &["nosuchcommand"], &minute()),
            Step::LateExec(which) => exec(*which, &["true"], &Until::after(Duration::ZERO)),
        }
    }

    /// The states by two ways of asking: one by one, and all at once.
    fn states(&self, prefix: &NamePrefix) -> Result<Vec<Option<ContainerState>>> {
        let listed = self.runtime.states(prefix, Until::forever())?;
        let mut states = Vec::new();
        for name in &self.names {
            let state = self.runtime.container(name).state(Until::forever())?;
            assert_eq!(listed.get(name), state.as_ref(), "{name} in {}", self.runtime.id());
            states.push(state);
        }
        Ok(states)
    }
}

fn minute() -> Until {
    Until::after(Duration::from_secs(60))
}

/// A null runtime that knows the two commands of the steps.
fn null() -> NullRuntime {
    let runtime = NullRuntime::new();
    runtime.on_exec(Scope::all(), ArgvPattern::prefix(["sh", "-c"]), |call| {
        let script = call.argv().arguments()[1].to_string_lossy().into_owned();
        ExecReply::code(script.trim_start_matches("exit ").parse().unwrap_or(1))
    });
    runtime.on_exec(Scope::all(), ArgvPattern::program("nosuchcommand"), |_| {
        ExecReply::error(ErrorKind::CommandNotFound, "nosuchcommand")
    });
    runtime
}

fn agreement(live: &Live) -> Outcome {
    let config = Config { cases: 16, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&prop::collection::vec(step(), 4..14), |steps| {
        let family = Sandbox::fresh_name();
        let prefix = NamePrefix::new(&family).expect("a prefix");
        let names = ["a", "b"].map(|name| ContainerName::new(format!("{family}-{name}")).expect("a name"));
        let _cleaner = Cleaner { runtime: &live.runtime, names: &names };
        let null = null();
        let podman = Side { runtime: &live.runtime, names: names.clone(), image: live.image.as_str() };
        let null = Side { runtime: &null, names: names.clone(), image: live.image.as_str() };
        for (place, step) in steps.iter().enumerate() {
            let (real, played) = (podman.take(step), null.take(step));
            prop_assert_eq!(&real, &played, "podman and null on step {} of {:?}", place, &steps);
            let asked = |side: &Side<'_>| {
                side.states(&prefix).map_err(|error| TestCaseError::fail(error.to_string()))
            };
            prop_assert_eq!(
                asked(&podman)?,
                asked(&null)?,
                "the states after step {} of {:?}",
                place,
                &steps
            );
        }
        Ok(())
    });
    result.map_err(|failure| failure.to_string().into())
}

/// Removes the containers of one sequence, however it ends.
struct Cleaner<'a> {
    runtime: &'a dyn ContainerRuntime,
    names: &'a [ContainerName],
}

impl Drop for Cleaner<'_> {
    fn drop(&mut self) {
        let _ = self.runtime.force_remove(self.names, &minute());
    }
}
