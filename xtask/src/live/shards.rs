//! The live suite in several processes at once, each with a podman store of its own: most of its
//! cases wait, and each counts what its own process left behind. Each takes the next cases that no
//! other one has claimed.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rt_protocol::sync::lock;

use super::{Environment, Live, guests};
use crate::child::{Task, TestCounts};
use crate::failure::{Failure, Result};
use crate::report::SlowCase;
use crate::side_by_side;

/// Thrice the cores of the smallest machine this is meant for: the suite waits, and alone uses a
/// fifth of two cores.
pub(crate) const COUNT: usize = 6;

/// Runs `program` in another place, in as many parts, each with a podman of its own there.
pub(crate) fn run_elsewhere(place: &Environment, program: &Path, limit: Duration) -> Result<()> {
    run_counted(place, program, None, &[], limit).0
}

/// As [`run_elsewhere`], with these variables, and with what was counted. With a filter it is one
/// part: less is not worth so many stores.
pub(crate) fn run_counted(
    place: &Environment,
    program: &Path,
    filter: Option<&String>,
    variables: &[(&str, &OsStr)],
    limit: Duration,
) -> (Result<()>, TestCounts) {
    let count = if filter.is_some() { 1 } else { COUNT };
    let (_kept, claims) = match place.shared_directory() {
        Ok(shared) => shared,
        Err(failure) => return (Err(failure), TestCounts::default()),
    };
    let counts = Mutex::new(TestCounts::default());
    let run = |index: usize| {
        let variables = [variables, &[("RT_LIVE_CLAIMS", claims.as_os_str())]].concat();
        let task = place.live(program, filter, &variables)?.limit(limit);
        let (outcome, counted) = task.run_counted(&format!("[{index}/{count}] "));
        *lock(&counts) += counted;
        outcome
    };
    let outcome = side_by_side::run((1..=count).collect(), count, run);
    (outcome, *lock(&counts))
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
    let directory =
        || tempfile::tempdir().map_err(|error| Failure::new(format!("cannot make a directory: {error}")));
    let (times, claims) = (directory()?, directory()?);
    let run = |(index, live): (usize, Live)| {
        let variables = [live.variables(required), guests::require(required)].concat();
        let outcome = Task::new(program)
            .args(filter)
            .envs(&variables)
            .env("RT_LIVE_CLAIMS", Some(claims.path()))
            .env("RT_LIVE_TIMES", Some(times.path().join(index.to_string())))
            .limit(limit)
            .run_labelled(&format!("[{index}/{count}] "));
        outcome.and(live.close())
    };
    let outcome = side_by_side::run((1..).zip(lives).collect(), count, run);
    let files = (1..=count).map(|index| std::fs::read_to_string(times.path().join(index.to_string())));
    cases.extend(files.flatten().flat_map(|text| SlowCase::read(&text)));
    outcome
}
