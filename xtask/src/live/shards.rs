//! The live suite in several processes at once, each with a podman store of its own: most of its cases wait, and each
//! counts what its own process left behind. Which cases are in which part is the suite's.

use std::path::Path;
use std::time::Duration;

use super::{Environment, Live, guests};
use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::report::SlowCase;
use crate::side_by_side;

/// Thrice the cores of the smallest machine this is meant for: the suite waits, and alone uses a fifth of two cores.
pub(crate) const COUNT: usize = 6;

/// Runs `program` in another place, in as many parts, each with a podman of its own there.
pub(crate) fn run_elsewhere(place: &Environment, program: &Path, limit: Duration) -> Result<()> {
    let run = |index: usize| {
        let shard = format!("{index}/{COUNT}");
        let task = place.live(program, [""; 0], &[("RT_LIVE_SHARD", &shard)])?.limit(limit);
        task.run_labelled(&format!("[{shard}] "))
    };
    side_by_side::run((1..=COUNT).collect(), COUNT, run)
}

/// Runs `program` once for each of `lives`, and removes them. Answers how long each case took.
pub(crate) fn run(
    lives: Vec<Live>,
    program: &Path,
    filter: Option<&String>,
    required: bool,
    limit: Duration,
    cases: &mut Vec<SlowCase>,
) -> Result<()> {
    let count = lives.len();
    let times =
        tempfile::tempdir().map_err(|error| Failure::new(format!("cannot make a directory: {error}")))?;
    let run = |(index, live): (usize, Live)| {
        let variables = [live.variables(required), guests::require(required)].concat();
        let shard = format!("{index}/{count}");
        let outcome = Task::new(program)
            .args(filter)
            .envs(&variables)
            .env("RT_LIVE_SHARD", Some(&shard))
            .env("RT_LIVE_TIMES", Some(times.path().join(index.to_string())))
            .limit(limit)
            .run_labelled(&format!("[{shard}] "));
        outcome.and(live.close())
    };
    let outcome = side_by_side::run((1..).zip(lives).collect(), count, run);
    let files = (1..=count).map(|index| std::fs::read_to_string(times.path().join(index.to_string())));
    cases.extend(files.flatten().flat_map(|text| SlowCase::read(&text)));
    outcome
}
