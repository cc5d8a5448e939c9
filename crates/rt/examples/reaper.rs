//! A reaper: removes the old containers of one family of names, keeps the young, and says what came of each.
//!
//! `cargo run -p rt --example reaper`. Programs that may be killed at any time leave containers behind; what runs every
//! few minutes, or at their next start, is this.

use std::time::{Duration, SystemTime};

use rt::prelude::*;
use rt::{ContainerFilter, ContainerInfo, ContainerName, ContainerState, ErrorKind, NamePrefix, Result};
use rt_null::{Fault, NullRuntime, Operation, Scope, When};

/// Younger containers belong to somebody who is still at work.
const MIN_AGE: Duration = Duration::from_secs(15 * 60);
/// A container that is to stay for a person to look at.
const LIMIT: Duration = Duration::from_secs(120);
const KEEP_LABEL: &str = "keep";

pub(crate) fn main() -> Result<()> {
    let runtime = rehearsal()?;
    let now = runtime.clock().now();
    let family = NamePrefix::new("ci-job")?;

    // Two rounds, as a timer would run them: what could not be removed in one is tried again in the next.
    for round in 1..=2 {
        println!("round {round}");
        for (name, state) in runtime.states(&family, LIMIT)? {
            println!("  there: {name} ({state})");
        }
        let report = reap(&runtime, &family, now)?;
        println!("  {} removed, {} kept, {} left for later", report.removed, report.kept, report.failed);
    }
    let others = runtime
        .list(&ContainerFilter::all(), &LIMIT.into())?
        .into_iter()
        .filter(|info| !family.matches(&info.name));
    let others: Vec<_> = others.map(|info| info.name.to_string()).collect();
    println!("not of the family, and untouched: {}", others.join(", "));
    Ok(())
}

/// What a round came to.
#[derive(Debug, Default)]
struct Report {
    removed: usize,
    kept: usize,
    failed: usize,
}

/// One round. An error means that the engine could not be asked: then nothing is known, and nothing is removed.
fn reap(runtime: &dyn ContainerRuntime, family: &NamePrefix, now: SystemTime) -> Result<Report> {
    let mut report = Report::default();
    let mut doomed = Vec::new();
    // One question for all of them. A family `ci-job` is the names that begin with `ci-job-`, and never `ci-jobs-1`.
    for info in runtime.list(&ContainerFilter::prefix(family.clone()), &LIMIT.into())? {
        match reason_to_keep(&info, now) {
            Some(reason) => {
                println!("  keep {}: {reason}", info.name);
                report.kept += 1;
            }
            None => doomed.push(info.name),
        }
    }
    // One call, and one result for each name: a container that cannot be removed does not protect the others. Removal is
    // by name, so a family should never use a name twice, or this could hit the successor of what was listed.
    for result in runtime.force_remove(&doomed, &LIMIT.into()) {
        // A container that somebody else has removed meanwhile counts as removed.
        if let Some(error) = &result.error {
            println!("  cannot remove {}: {error}", result.name);
            report.failed += 1;
        } else {
            println!("  removed {}", result.name);
            report.removed += 1;
        }
    }
    Ok(report)
}

/// Why a container stays; `None` when it goes. In doubt it stays: the next round comes.
fn reason_to_keep(info: &ContainerInfo, now: SystemTime) -> Option<String> {
    if info.labels.contains_key(KEEP_LABEL) {
        return Some(format!("it has the label `{KEEP_LABEL}`"));
    }
    if info.state == ContainerState::Removing {
        return Some("somebody is removing it".to_owned());
    }
    let Some(created) = info.created else {
        return Some("nobody knows its age".to_owned());
    };
    // A clock that was set back makes containers from the future; those count as young.
    let age = now.duration_since(created).unwrap_or_default();
    (age < MIN_AGE).then(|| format!("it is {} minutes old", age.as_secs() / 60))
}

/// Five containers of the family and one of another, and an engine that is busy once.
fn rehearsal() -> Result<NullRuntime> {
    let runtime = NullRuntime::new();
    let now = runtime.clock().now();
    for (name, minutes, state) in [
        ("ci-job-1", 600, ContainerState::Exited),
        ("ci-job-2", 600, ContainerState::Running),
        ("ci-job-3", 90, ContainerState::Created),
        ("ci-job-4", 5, ContainerState::Running),
        ("ci-job-5", 600, ContainerState::Exited),
        ("ci-jobs-1", 600, ContainerState::Running),
    ] {
        let mut info = ContainerInfo::new(ContainerName::new(name)?, format!("id-{name}"), state);
        info.created = now.checked_sub(Duration::from_secs(minutes * 60));
        runtime.set_container(info);
    }
    runtime.set_label("ci-job-5", KEEP_LABEL, "look at the core dump")?;
    let busy = Fault::refused(ErrorKind::BackendFailed, "its file system is still mounted");
    runtime.inject(Operation::Remove, Scope::container("ci-job-2")?, When::Next, busy);
    Ok(runtime)
}
