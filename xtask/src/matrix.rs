//! `cargo xtask test --live --full`: runs the live suite with every podman, OCI runtime and user
//! that this host offers, once for each exec path, and prints a table of the counts.

use std::ffi::OsStr;
use std::fmt::Write as _;

use crate::child::TestCounts;
use crate::failure::Result;
use crate::live::live_options::{LiveOptions, PodmanVersion};
use crate::live::{Environment, packages, shards};
use crate::report::{Report, Verdict, say};
use crate::test::{LIMIT_ELSEWHERE, TestOptions, suite_programs};
use crate::workspace::Workspace;

/// By each, the whole suite. By `auto`, conformance is warm in fact, or it fails; and the cases of
/// guests, most of which are about channels, are left to `cold`.
const EXEC_PATHS: [&str; 2] = ["auto", "cold"];

/// The places: each podman, with crun as the caller and rootless, and with runc. podman 6 has no
/// control groups on a host with version 1, and runc takes no container without.
fn places() -> impl Iterator<Item = LiveOptions> {
    [None, Some(PodmanVersion::Five), Some(PodmanVersion::Six)].into_iter().flat_map(|podman| {
        [(false, false), (false, true), (true, false)]
            .into_iter()
            .filter(move |(_, runc)| !runc || podman != Some(PodmanVersion::Six))
            .map(move |(rootless, runc)| LiveOptions { podman, rootless, runc })
    })
}

/// Runs the suite everywhere, and prints the table. A place that this host cannot be is ignored
/// with its reason.
pub(crate) fn run(workspace: &Workspace, options: &TestOptions, report: &mut Report) {
    report.step("test: packages", packages::install_missing);
    let mut rows = Vec::new();
    for live_options in places() {
        for path in EXEC_PATHS {
            let name = format!("{live_options}, {path}");
            report.judged(&format!("test: live suite, {name}"), || {
                let place = match Environment::make(live_options, &workspace.target) {
                    Ok(place) => place,
                    Err(failure) => return Ok(Verdict::Ignored(failure.one_line())),
                };
                let mut counts = TestCounts::default();
                let outcome = suite(workspace, options, &place, path, &mut counts);
                rows.push((name, counts));
                outcome.map(|()| Verdict::Passed)
            });
        }
    }
    say(&table(&rows));
}

fn suite(
    workspace: &Workspace,
    options: &TestOptions,
    place: &Environment,
    path: &str,
    counts: &mut TestCounts,
) -> Result<()> {
    let variables = [("RT_LIVE_EXEC_PATH", OsStr::new(path))];
    for program in suite_programs(workspace)? {
        let filter = options.filter.as_ref();
        let (outcome, more) = shards::run_counted(place, &program, filter, &variables, LIMIT_ELSEWHERE);
        *counts += more;
        outcome?;
    }
    Ok(())
}

fn table(rows: &[(String, TestCounts)]) -> String {
    let wide = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::from("\nlive suite\n");
    for (name, counts) in rows {
        let _ = writeln!(text, "  {name:wide$}  {counts}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_name_of_its_own() {
        let names: Vec<_> = places().map(|place| place.to_string()).collect();
        assert_eq!(
            names,
            [
                "podman of this machine, as the caller",
                "podman of this machine, runc, as the caller",
                "podman of this machine, rootless",
                "podman 5, as the caller",
                "podman 5, runc, as the caller",
                "podman 5, rootless",
                "podman 6, as the caller",
                "podman 6, rootless",
            ]
        );
    }

    #[test]
    fn the_table_has_the_counts_of_each_place() {
        let counts = TestCounts { passed: 350, failed: 1, ignored: 5 };
        let rows = [("podman 5, as the caller, auto".to_owned(), counts), ("b".to_owned(), counts)];
        let expected = "\nlive suite\n  podman 5, as the caller, auto  350 passed, 1 failed, 5 ignored\n  b                              350 passed, 1 failed, 5 ignored\n";
        assert_eq!(table(&rows), expected);
    }
}
