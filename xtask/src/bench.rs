//! `cargo xtask bench`: builds the measurements for speed, runs them on a podman of their own, and prints what they found as
//! a table and as JSON. What is measured stands in `rt-tests`.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::live::Live;
use crate::report::say;
use crate::workspace::Workspace;

/// All of them take some five minutes.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// Runs the measurements whose name contains `filter`; a missed target is a failure.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let build = ["build", "--release", "--package", "rt-tests", "--bin", "bench"].map(str::to_owned);
    let program = workspace.built(&build, "bench")?;
    let live = Live::make()?;
    let task = crate::child::Task::new(program).args(filter).envs(&live.variables(true));
    let answer = task.limit(LIMIT).loud().captured();
    let place = live.surroundings();
    live.close()?;
    let answer = answer?;
    let rows: Vec<Value> = answer.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    say(&table(&rows));
    let dir = workspace.target.join("bench");
    let path = dir.join("bench.json");
    let json = serde_json::json!({ "place": place, "rows": rows }).to_string();
    fs::create_dir_all(&dir).map_err(|error| Failure::io("make", &dir, &error))?;
    fs::write(&path, json).map_err(|error| Failure::io("write", &path, &error))?;
    say(&format!("written to {}", path.display()));
    if !answer.status.success() {
        return Err(Failure::new(format!("measuring: {}", crate::child::describe(answer.status))));
    }
    let missed: Vec<_> =
        rows.iter().filter(|row| row["met"] != true).filter_map(|row| row["name"].as_str()).collect();
    if missed.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("targets missed: {}", missed.join(" "))))
    }
}

/// A line for each row. A ratio is their time divided by ours.
fn table(rows: &[Value]) -> String {
    let mut text = format!(
        "{:22} {:>9} {:>9} {:>7}  {:15} {:>7}",
        "name", "ours s", "theirs s", "ratio", "spread", "target"
    );
    for row in rows {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let spread = format!("{:.2}–{:.2}", number(&row["spread"][0]), number(&row["spread"][1]));
        let _ = write!(
            text,
            "\n{:22} {:>9.3} {:>9.3} {:>7.2}  {spread:15} {:>7.2}  {}  {}",
            row["name"].as_str().unwrap_or_default(),
            number(&row["ours"]),
            number(&row["theirs"]),
            number(&row["ratio"]),
            number(&row["target"]),
            if row["met"] == true { "met   " } else { "MISSED" },
            row["what"].as_str().unwrap_or_default(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_which_target_is_missed() {
        let row = |name: &str, met: bool| {
            serde_json::json!({
                "name": name, "what": "a and b", "ours": 1.0, "theirs": 2.0, "ratio": 2.0, "spread": [1.9, 2.1],
                "target": 3.0, "met": met,
            })
        };
        let table = table(&[row("one", true), row("two", false)]);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[1].starts_with("one ") && lines[1].contains("met"), "{table}");
        assert!(lines[2].contains("1.90–2.10") && lines[2].contains("MISSED"), "{table}");
    }
}
