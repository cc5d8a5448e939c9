//! `cargo xtask chaos`: random harm to podman and to connections, in an environment of its own. What is harmed, asked and
//! compared stands in `rt-tests`.

use std::time::Duration;

use crate::arguments::ChaosOptions;
use crate::failure::Result;
use crate::live::{self, Place};
use crate::report::say;
use crate::workspace::Workspace;

/// Beyond the time that was asked for: building the last round's truth, and removing what it has made.
const MORE: Duration = Duration::from_secs(10 * 60);

pub(crate) fn run(workspace: &Workspace, options: &ChaosOptions) -> Result<()> {
    // Built here: another place may have no compiler.
    let build = ["build", "--package", "rt-tests", "--bin", "chaos"].map(str::to_owned);
    let program = workspace.built(&build, "chaos")?;
    let seed = options.seed.unwrap_or_else(some_seed);
    let time = Duration::from_secs(60 * options.minutes);
    say(&format!("chaos: {} minutes, --seed {seed}", options.minutes));
    let words = [time.as_secs().to_string(), seed.to_string()].into_iter().chain(options.only.clone());
    let place = Place::find(options.whereabouts, &workspace.target)?;
    live::must_run(place.as_ref(), &program, words, time + MORE)
}

/// Another one for each run.
fn some_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}
