//! `cargo xtask conformance`: the report of the conformance suite for each backend. The suite stands in `rt-conformance`,
//! the program that runs it in `rt-tests`.

use std::time::Duration;

use crate::arguments::ConformanceOptions;
use crate::child::Task;
use crate::failure::Result;
use crate::live::{self, Place};
use crate::report::Report;
use crate::workspace::Workspace;

/// A backend that the suite can be run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Null,
    Podman,
}

impl Backend {
    pub(crate) const ALL: [Self; 2] = [Self::Null, Self::Podman];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Podman => "podman",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }
}

/// The suite takes some three minutes on podman.
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
        Backend::Null => Task::new(program).args(words).limit(LIMIT).must(),
        Backend::Podman => {
            let place = Place::find(options.whereabouts, &workspace.target)?;
            live::must_run(place.as_ref(), &program, words, LIMIT)
        }
    }
}
