//! `cargo xtask bench`: builds the benchmarks in release mode, runs them on their own podman, and
//! writes the results as a table, as JSON and as a chart. The benchmarks are in `rt-tests`; only
//! build times are measured here.

mod builds;
mod chart;
mod machine;
mod row;
mod svg;
mod table;
mod ways;

use std::fs;
use std::time::Duration;

use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::live::Live;
use crate::report::say;
use crate::workspace::Workspace;
use row::Row;

/// All of them take some ten minutes.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// Runs the measurements whose name contains `filter`; a missed target is a failure.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let build = ["build", "--release", "--package", "rt-tests", "--features", "bench", "--bin", "bench"];
    let program = workspace.built(&build.map(str::to_owned), "bench")?;
    let mut machine = machine::describe();
    let live = Live::make()?;
    let answer =
        Task::new(program).args(filter).envs(&live.variables(true)).limit(LIMIT).inherit_stderr().captured();
    machine.push(("podman", live.host_state()));
    live.close()?;
    let answer = answer?;
    let rows: Vec<Row> = answer.stdout.lines().filter_map(Row::from_json).collect();
    let builds = builds::measure(workspace, filter.unwrap_or_default())?;
    machine.push(("load at the end", machine::load()));

    let table = table::table(&rows, &builds, &machine);
    say(&table);
    let json = serde_json::json!({
        "machine": machine.iter().map(|(name, text)| (*name, text.as_str())).collect::<std::collections::BTreeMap<_, _>>(),
        "rows": rows.iter().map(|row| &row.json).collect::<Vec<_>>(),
        "builds": builds.iter().map(builds::Build::json).collect::<Vec<_>>(),
    });
    let directory = workspace.target.join("bench");
    fs::create_dir_all(&directory).map_err(|error| Failure::io("make", &directory, &error))?;
    let written =
        [("bench.md", table), ("bench.json", format!("{json:#}\n")), ("bench.svg", chart::chart(&rows))];
    // Of a part of the rows there may be none.
    let picture = ways::picture(&rows).map(|picture| ("commands.svg", picture));
    for (name, text) in written.into_iter().chain(picture) {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| Failure::io("write", &path, &error))?;
        say(&format!("written to {}", path.display()));
    }
    if !answer.status.success() {
        return Err(Failure::new(format!("measuring: {}", answer.status)));
    }
    let missed: Vec<_> =
        rows.iter().filter(|row| row.met == Some(false)).map(|row| row.name.as_str()).collect();
    if missed.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("targets missed: {}", missed.join(" "))))
    }
}
