//! `cargo xtask conformance`: the report of the conformance suite for each backend. The suite
//! stands in `rt-conformance`, the program that runs it in `rt-tests`.

use std::time::Duration;

use crate::child::Task;
use crate::failure::Result;
use crate::live::live_options::LiveOptions;
use crate::live::{self, Environment};
use crate::report::Report;
use crate::workspace::Workspace;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ConformanceOptions {
    /// Empty means all.
    pub(crate) backends: Vec<Backend>,
    pub(crate) live_options: LiveOptions,
    pub(crate) filter: Option<String>,
}

rt_protocol::word_enum! {
    /// A backend that the suite can be run on.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Backend: "backend" {
        Null = "null",
        Podman = "podman",
        Krun = "krun",
    }
}

/// The suite takes some three minutes on podman, and more on the guests of krun.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Runs the suite on each backend that was asked for; the tables are printed as they come.
pub(crate) fn run(workspace: &Workspace, options: &ConformanceOptions, report: &mut Report) {
    for backend in Backend::ALL.iter().copied() {
        if options.backends.is_empty() || options.backends.contains(&backend) {
            report.step(&format!("conformance: {backend}"), || suite(workspace, backend, options));
        }
    }
}

fn suite(workspace: &Workspace, backend: Backend, options: &ConformanceOptions) -> Result<()> {
    // Built here: another place may have no compiler.
    let build = ["build", "--package", "rt-tests", "--bin", "conformance"].map(str::to_owned);
    let program = workspace.built(&build, "conformance")?;
    let words = [backend.as_str()].into_iter().chain(options.filter.as_deref());
    match backend {
        Backend::Null => Task::new(program).args(words).limit(LIMIT).run_checked(),
        Backend::Podman | Backend::Krun => {
            let place = Environment::find(options.live_options, &workspace.target)?;
            live::run_in(place.as_ref(), &program, words, LIMIT)
        }
    }
}
