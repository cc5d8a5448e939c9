//! `cargo xtask conformance`: the report of the conformance suite for each backend. The suite stands in `rt-conformance`,
//! the program that runs it in `rt-tests`.

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

/// A backend that the suite can be run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Null,
    Podman,
    Krun,
}

impl Backend {
    pub(crate) const ALL: [Self; 3] = [Self::Null, Self::Podman, Self::Krun];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Podman => "podman",
            Self::Krun => "krun",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }
}

/// The suite takes some three minutes on podman, and more on the guests of krun.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Runs the suite on each backend that was asked for; the tables are printed as they come.
pub(crate) fn run(workspace: &Workspace, options: &ConformanceOptions, report: &mut Report) {
    for backend in Backend::ALL {
        if options.backends.is_empty() || options.backends.contains(&backend) {
            report.step(&format!("conformance: {}", backend.name()), || suite(workspace, backend, options));
        }
    }
}

fn suite(workspace: &Workspace, backend: Backend, options: &ConformanceOptions) -> Result<()> {
    // Built here: another place may have no compiler.
    let build = ["build", "--package", "rt-tests", "--bin", "conformance"].map(str::to_owned);
    let program = workspace.built(&build, "conformance")?;
    let words = [backend.name()].into_iter().chain(options.filter.as_deref());
    match backend {
        Backend::Null => Task::new(program).args(words).limit(LIMIT).run_checked(),
        Backend::Podman | Backend::Krun => {
            let place = Environment::find(options.live_options, &workspace.target)?;
            live::run_in(place.as_ref(), &program, words, LIMIT)
        }
    }
}
