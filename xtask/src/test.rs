//! `cargo xtask test`: which cargo commands are run, in which order, and with which live
//! environment. How the environment is made stands in `live`.

use std::path::PathBuf;
use std::time::Duration;

use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::live::live_options::LiveOptions;
use crate::live::{self, Environment, Live, packages, shards};
use crate::report::{Report, SlowCase, Verdict};
use crate::side_by_side;
use crate::workspace::{TestProgram, VENDORED, Workspace};

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Only what ends soon.
    pub(crate) quick: bool,
    /// Demand the live suite instead of running it where possible.
    pub(crate) live: bool,
    /// The live suite alone, in every place that this host can be, by each path into a container.
    pub(crate) full: bool,
    pub(crate) live_options: LiveOptions,
    /// The steps whose name contains this; empty means all.
    pub(crate) only: String,
    /// Handed to every test binary. One at most: a harness of our own takes no more.
    pub(crate) filter: Option<String>,
}

/// The package of the live suite, and the facade whose features are walked through.
const SUITE: &str = "rt-tests";
const FACADE: &str = "rt";

/// No step takes this long on the slowest machine we know, unless a test hangs.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// How many test programs run at a time. Most wait; two cores have enough to do with four.
const AT_ONCE: usize = 4;

/// The test programs that take longest, the longest first: the others run and end beside them.
const LONG: [(&str, &str); 5] = [
    ("rt-fake-podman", "conformance_podman_4"),
    ("rt-fake-podman", "conformance_podman_5"),
    ("rt-fake-podman", "plays"),
    ("rt-conformance", "faults"),
    ("rt-fake-podman", "faults"),
];

/// A suite in a tree or without rights is run by hand, perhaps beside other work.
pub(crate) const LIMIT_ELSEWHERE: Duration = Duration::from_secs(2 * 60 * 60);

/// Runs every step; failures are in the report.
pub(crate) fn run(workspace: &Workspace, options: &TestOptions, report: &mut Report) {
    if options.live_options.is_elsewhere() {
        // The other steps know no podman: they would only repeat what they said here.
        report.step("test: live suite", || live_suite_elsewhere(workspace, options));
        return;
    }
    if options.quick {
        quick(workspace, options, report);
        return;
    }
    if options.live {
        report.step("test: packages", packages::install_missing);
    }
    // All three select the whole workspace and all features, as the live suite does below: built
    // once, and tests that need a feature are among them.
    report.step("test: unit, integration and property tests", || units(workspace, options, |_| true));
    report.step("test: doc tests", || {
        tests(workspace, options, [all(workspace), words(&["--doc"])].concat()).run_checked()
    });
    if workspace.members.values().any(|member| member.has_examples) {
        report.step("test: examples build", || {
            workspace.cargo(["build", "--examples"]).args(all(workspace)).limit(LIMIT).run_checked()
        });
    }
    // The README's first command, as it stands there.
    report.step("test: quickstart", || {
        workspace.cargo(["run", "-p", FACADE, "--example", "quickstart"]).limit(LIMIT).run_checked()
    });
    match workspace.member(FACADE) {
        Ok(facade) => {
            for set in feature_sets(facade.features.iter().map(String::as_str)) {
                let name = format!("test: {FACADE}, {}", set.name);
                let selection = ["-p".into(), FACADE.into()].into_iter().chain(set.flags).collect();
                report.step(&name, || tests(workspace, options, selection).run_checked());
            }
        }
        Err(failure) => report.step("test: features", || Err(failure)),
    }
    let mut cases = Vec::new();
    report.judged("test: live suite", || live_suite(workspace, options, &mut cases));
    report.cases(cases);
}

/// The inner loop: what one build gives and what ends soon.
fn quick(workspace: &Workspace, options: &TestOptions, report: &mut Report) {
    report.step("test: quick ones", || {
        units(workspace, options, |program| place_among_long(program).is_none())
    });
    let left_out = LONG.map(|(package, target)| format!("{package} {target}")).join(", ");
    report.judged("test: the others", || {
        Ok(Verdict::Ignored(format!(
            "--quick leaves out {left_out}, doc tests, examples, each feature alone and the live suite"
        )))
    });
}

/// The programs of the unit, integration and property tests, side by side: each counts what is left
/// in its own process.
fn units(workspace: &Workspace, options: &TestOptions, wanted: impl Fn(&TestProgram) -> bool) -> Result<()> {
    let build = [words(&["test", "--no-run"]), workspace_selection(workspace)].concat();
    let mut programs = workspace.built_tests(&build)?;
    for (package, target) in LONG {
        if !programs.iter().any(|program| program.package == package && program.target == target) {
            return Err(Failure::new(format!(
                "{package} has no test {target} any more, which is said to be long"
            )));
        }
    }
    programs.retain(wanted);
    programs.sort_by_key(|program| place_among_long(program).unwrap_or(LONG.len()));
    side_by_side::run(programs, AT_ONCE, |program| {
        let label = format!("[{} {}] ", program.package, program.target);
        program.task().args(&options.filter).limit(LIMIT).run_labelled(&label)
    })
}

fn place_among_long(program: &TestProgram) -> Option<usize> {
    LONG.iter().position(|(package, target)| program.package == *package && program.target == *target)
}

/// One `cargo test`, with the filter at its end.
fn tests(workspace: &Workspace, options: &TestOptions, selection: Vec<String>) -> Task {
    let mut words = vec!["test".to_owned(), "--no-fail-fast".to_owned()];
    words.extend(selection);
    if let Some(filter) = &options.filter {
        words.extend(["--".into(), filter.clone()]);
    }
    workspace.cargo(words).limit(LIMIT)
}

/// Everything that has tests, except the live suite's own targets.
fn workspace_selection(workspace: &Workspace) -> Vec<String> {
    let mut selection = [all(workspace), words(&["--lib", "--bins"])].concat();
    for (_, member) in workspace.members.iter().filter(|(name, _)| *name != SUITE) {
        for test in &member.tests {
            selection.extend(["--test".into(), test.clone()]);
        }
    }
    selection
}

#[derive(Debug, PartialEq, Eq)]
struct FeatureSet {
    name: String,
    flags: Vec<String>,
}

/// None and each alone. All together are asked with the whole workspace.
fn feature_sets<'a>(features: impl Iterator<Item = &'a str>) -> Vec<FeatureSet> {
    let all: Vec<&str> = features.filter(|feature| *feature != VENDORED).collect();
    let mut sets = vec![FeatureSet { name: "no feature".into(), flags: words(&["--no-default-features"]) }];
    for feature in &all {
        sets.push(FeatureSet {
            name: format!("{feature} alone"),
            flags: words(&["--no-default-features", "--features", feature]),
        });
    }
    sets
}

fn live_suite(workspace: &Workspace, options: &TestOptions, cases: &mut Vec<SlowCase>) -> Result<Verdict> {
    // Build before creating a store: if the build is interrupted, there is no store to leave
    // behind.
    let programs = suite_programs(workspace)?;
    let lives = || (0..shards::COUNT).map(|_| Live::make()).collect::<Result<Vec<_>>>();
    for program in programs {
        let lives = match lives() {
            Ok(lives) => lives,
            Err(failure) if options.live => {
                return Err(Failure::new(format!("no isolated podman: {failure}")));
            }
            // The suite runs anyway, so that the list names every test that could not run, with the
            // reason.
            Err(failure) => {
                let task = Task::new(program).args(&options.filter).envs(&live::unavailable(&failure));
                return task.limit(LIMIT).run_checked().map(|()| Verdict::Ignored(failure.one_line()));
            }
        };
        shards::run(lives, &program, options.filter.as_ref(), options.live, LIMIT, cases)?;
    }
    Ok(Verdict::Passed)
}

/// The suite in another place. It is built here: the place may have no compiler.
fn live_suite_elsewhere(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    let place = Environment::find(options.live_options, &workspace.target)?;
    suite_programs(workspace)?.iter().try_for_each(|program| match &place {
        // A part of the suite is not worth so many stores.
        Some(place) if options.filter.is_none() => shards::run_elsewhere(place, program, LIMIT_ELSEWHERE),
        _ => live::run_in(place.as_ref(), program, options.filter.as_ref(), LIMIT_ELSEWHERE),
    })
}

/// The programs of the live suite, and what they start.
pub(crate) fn suite_programs(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let build = [words(&["test", "--no-run"]), suite_selection(workspace)?].concat();
    let programs = workspace.member(SUITE)?.tests.iter().map(|test| workspace.built(&build, test));
    let programs = programs.collect::<Result<Vec<_>>>()?;
    workspace.cargo(["build", "--example", "quickstart"]).args(all(workspace)).limit(LIMIT).run_checked()?;
    Ok(programs)
}

/// The suite's own test targets, out of the same build as the other tests.
fn suite_selection(workspace: &Workspace) -> Result<Vec<String>> {
    let suite = workspace.member(SUITE)?;
    // Without a --test, cargo would run every test of the workspace again.
    if suite.tests.is_empty() {
        return Err(Failure::new(format!("{SUITE} has no test targets")));
    }
    let mut selection = all(workspace);
    for test in &suite.tests {
        selection.extend(["--test".into(), test.clone()]);
    }
    Ok(selection)
}

/// The whole workspace, with all features that are of use here.
pub(crate) fn all(workspace: &Workspace) -> Vec<String> {
    words(&["--workspace", "--features", &workspace.usual_features()])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    fn workspace() -> Workspace {
        let member = |tests: &[&str]| Member {
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
            ..Member::default()
        };
        Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            members: [("rt".to_owned(), member(&["door"])), (SUITE.to_owned(), member(&["exec", "logs"]))]
                .into(),
            links: [].into(),
        }
    }

    #[test]
    fn the_feature_sets_are_none_and_each() {
        let names: Vec<_> =
            feature_sets(["krun", "null"].into_iter()).into_iter().map(|set| set.name).collect();
        assert_eq!(names, ["no feature", "krun alone", "null alone"]);
    }

    #[test]
    fn the_live_suite_runs_in_its_own_step_only() {
        let workspace = workspace();
        let units = ["--workspace", "--features", "", "--lib", "--bins", "--test", "door"];
        assert_eq!(workspace_selection(&workspace), units);
        let suite = suite_selection(&workspace).unwrap();
        assert_eq!(suite, ["--workspace", "--features", "", "--test", "exec", "--test", "logs"]);
    }

    #[test]
    fn a_suite_without_targets_fails_instead_of_running_everything() {
        let mut workspace = workspace();
        workspace.members.get_mut(SUITE).unwrap().tests.clear();
        assert!(suite_selection(&workspace).is_err());
    }

    #[test]
    fn the_filter_goes_to_the_test_binaries() {
        let options = TestOptions { filter: Some("exec".into()), ..TestOptions::default() };
        let line = tests(&workspace(), &options, words(&["-p", "rt"])).line();
        assert!(line.ends_with("test --no-fail-fast -p rt -- exec"), "{line}");
    }
}
