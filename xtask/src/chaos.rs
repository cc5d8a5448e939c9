//! `cargo xtask chaos`: random harm to podman and to connections, in an environment of its own.
//! What is harmed, asked and compared stands in `rt-tests`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::Task;
use crate::failure::Result;
use crate::live::live_options::LiveOptions;
use crate::live::{self, Environment, Live};
use crate::report::{Verdict, say};
use crate::test;
use crate::workspace::Workspace;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChaosOptions {
    pub(crate) minutes: u64,
    /// Any other without one.
    pub(crate) seed: Option<u64>,
    /// `ssh` or `podman`; both without it.
    pub(crate) only: Option<String>,
    pub(crate) live_options: LiveOptions,
}

impl Default for ChaosOptions {
    fn default() -> Self {
        Self { minutes: 30, seed: None, only: None, live_options: LiveOptions::default() }
    }
}

/// Beyond the time that was asked for: the last round goes on to its end.
const MORE: Duration = Duration::from_secs(10 * 60);

/// `ci` does the same things each time; how they meet podman is the machine's.
const SEED: u64 = 11;

/// What was asked for.
pub(crate) fn run(workspace: &Workspace, options: &ChaosOptions) -> Result<()> {
    let program = build(workspace)?;
    let seed = options.seed.unwrap_or_else(any_seed);
    let time = Duration::from_secs(60 * options.minutes);
    say(&format!("chaos: {} minutes, --seed {seed}", options.minutes));
    let place = Environment::find(options.live_options, &workspace.target)?;
    live::run_in(place.as_ref(), &program, words(time, seed, options.only.as_deref()), time + MORE)
}

/// A minute of it, where a podman works or is required.
pub(crate) fn minute(workspace: &Workspace, required: bool) -> Result<Verdict> {
    let time = Duration::from_secs(60);
    let run = |live: &Live, program: &Path| {
        let task = Task::new(program).args(words(time, SEED, None)).envs(&live.variables(required));
        task.limit(time + MORE).run_checked()
    };
    let program = build(workspace)?;
    match Live::make() {
        Ok(live) => {
            let outcome = run(&live, &program);
            outcome.and(live.close()).map(|()| Verdict::Passed)
        }
        Err(failure) if required => Err(failure),
        Err(failure) => Ok(Verdict::Ignored(failure.one_line())),
    }
}

/// Built here: another place may have no compiler. Out of the same build as the tests.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let command =
        [vec!["build".to_owned()], test::all(workspace), vec!["--bin".into(), "chaos".into()]].concat();
    workspace.built(&command, "chaos")
}

fn words(time: Duration, seed: u64, only: Option<&str>) -> Vec<String> {
    [time.as_secs().to_string(), seed.to_string()].into_iter().chain(only.map(str::to_owned)).collect()
}

/// Another one for each run.
fn any_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}
