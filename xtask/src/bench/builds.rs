//! How long the facade takes to build from nothing, with one backend alone, and how many crates
//! that is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::report::say;
use crate::workspace::{Workspace, remove_folder};

/// In turns, so that whatever else the machine does meets both alike.
const ROUNDS: usize = 3;

const LIMIT: Duration = Duration::from_secs(30 * 60);

/// A build with one feature.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) feature: &'static str,
    /// With `rt` itself and what only builds need.
    pub(super) crates: usize,
    /// The least, the median and the most.
    pub(super) seconds: [f64; 3],
}

impl Build {
    pub(super) fn json(&self) -> Value {
        json!({ "name": name(self.feature), "crates": self.crates, "seconds": self.seconds })
    }
}

/// The builds whose name contains `filter`, in the profile `dev`, as a user's first `cargo build`.
pub(super) fn measure(workspace: &Workspace, filter: &str) -> Result<Vec<Build>> {
    let features: Vec<_> =
        ["null", "podman"].into_iter().filter(|feature| name(feature).contains(filter)).collect();
    let mut rounds: Vec<Vec<(f64, usize)>> = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for feature in &features {
            let (seconds, crates) = build(workspace, feature)?;
            say(&format!("clean build, `{feature}` only: {seconds:.1} s"));
            round.push((seconds, crates));
        }
        rounds.push(round);
    }
    let result = |(place, feature): (usize, &'static str)| {
        let mut seconds: [f64; ROUNDS] = std::array::from_fn(|round| rounds[round][place].0);
        seconds.sort_by(f64::total_cmp);
        Build { feature, crates: rounds[0][place].1, seconds }
    };
    Ok(features.iter().copied().enumerate().map(result).collect())
}

fn name(feature: &str) -> String {
    format!("build-{feature}")
}

fn build(workspace: &Workspace, feature: &str) -> Result<(f64, usize)> {
    // Beside the target directory of everything else, whose builds would be found there.
    let target = workspace.target.join("bench").join(name(feature));
    remove_folder(&target)?;
    let task = workspace
        .cargo(["build", "--package", "rt", "--no-default-features", "--features", feature])
        .args(["--message-format=json-render-diagnostics", "--quiet"])
        .env("CARGO_TARGET_DIR", Some(&target))
        .limit(LIMIT);
    let begin = Instant::now();
    let answer = task.inherit_stderr().captured()?;
    let seconds = begin.elapsed().as_secs_f64();
    let removed = remove_folder(&target);
    if !answer.status.success() {
        return Err(Failure::new(format!("building with `{feature}` only: {}", answer.status)));
    }
    removed?;
    Ok((seconds, crates_in(&answer.stdout)))
}

/// How many packages the messages of a build tell of.
fn crates_in(messages: &str) -> usize {
    let artifact = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message["reason"] == "compiler-artifact")
            .then(|| message["package_id"].as_str().map(str::to_owned))?
    };
    messages.lines().filter_map(artifact).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_a_build_script_counts_once() {
        let messages = r#"{"reason":"compiler-artifact","package_id":"a"}
{"reason":"build-script-executed","package_id":"a"}
{"reason":"compiler-artifact","package_id":"a"}
{"reason":"compiler-artifact","package_id":"b"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(crates_in(messages), 2);
    }
}
