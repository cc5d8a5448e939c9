//! A reaper: removes the old containers with a common name prefix, keeps the young ones,
//! and reports on each.
//!
//! `cargo run -p rt --example reaper`. A program that may be killed at any time leaves
//! containers behind. A reaper runs every few minutes, or when the program starts again.

use std::time::{Duration, SystemTime};

use rt::prelude::*;
use rt::{
    ContainerFilter, ContainerInfo, ContainerName, ContainerState, ErrorKind, Liveness,
    NamePrefix, Owner, Result,
};
use rt_null::{Fault, NullRuntime, Operation, Scope, When};

/// Younger containers may still be in use.
const MIN_AGE: Duration = Duration::from_secs(15 * 60);
const LIMIT: Duration = Duration::from_secs(120);
/// The label of a container that a person wants to look at.
const KEEP_LABEL: &str = "keep";

pub(crate) fn main() -> Result<()> {
    let runtime = rehearsal()?;
    let now = runtime.clock().now();
    let family = NamePrefix::new("ci-job")?;

    // Two rounds, as a timer would run them: if a removal fails, the next round tries
    // again.
    for round in 1..=2 {
        println!("round {round}");
        for (name, state) in runtime.states(&family, LIMIT)? {
            println!("  there: {name} ({state})");
        }
        let report = reap(&runtime, &family, now)?;
        println!(
            "  {} removed, {} kept, {} left for later",
            report.removed, report.kept, report.failed
        );
    }
    let others = runtime
        .list(&ContainerFilter::all(), &LIMIT.into())?
        .into_iter()
        .filter(|info| !family.matches(&info.name));
    let others: Vec<_> = others.map(|info| info.name.to_string()).collect();
    println!("not of the family, and untouched: {}", others.join(", "));
    Ok(())
}

/// The result of a round.
#[derive(Debug, Default)]
struct Report {
    removed: usize,
    kept: usize,
    failed: usize,
}

/// Runs one round. An error means that the engine did not answer: then nothing is known,
/// and nothing is removed.
fn reap(
    runtime: &dyn ContainerRuntime,
    family: &NamePrefix,
    now: SystemTime,
) -> Result<Report> {
    let mut report = Report::default();
    let mut doomed = Vec::new();
    // One call for all of them. The prefix `ci-job` means names that begin with
    // `ci-job-`, so never `ci-jobs-1`.
    for info in runtime.list(&ContainerFilter::prefix(family.clone()), &LIMIT.into())? {
        match reason_to_keep(&info, now) {
            Some(reason) => {
                println!("  keep {}: {reason}", info.name);
                report.kept += 1;
            }
            None => doomed.push(info.name),
        }
    }
    // One call, with one result for each name: a container that cannot be removed does
    // not protect the others. Containers are removed by name. Never use a name twice, or
    // this may remove the successor of a listed container.
    for result in runtime.force_remove(&doomed, &LIMIT.into()) {
        // A container that was removed in the meantime counts as removed.
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

/// Returns why a container stays; `None` if it can be removed. In doubt it stays until
/// the next round.
fn reason_to_keep(info: &ContainerInfo, now: SystemTime) -> Option<String> {
    if info.labels.contains_key(KEEP_LABEL) {
        return Some(format!("it has the label `{KEEP_LABEL}`"));
    }
    if Owner::of(info).is_some_and(|owner| owner.liveness() == Liveness::Alive) {
        return Some("its owner still runs".to_owned());
    }
    if info.state == ContainerState::Removing {
        return Some("it is being removed".to_owned());
    }
    let Some(created) = info.created else {
        return Some("its age is unknown".to_owned());
    };
    // After a clock was set back, a container may be from the future. It counts as young.
    let age = now.duration_since(created).unwrap_or_default();
    (age < MIN_AGE).then(|| format!("it is {} minutes old", age.as_secs() / 60))
}

/// Six containers with the prefix and one without, and an engine that is busy once.
fn rehearsal() -> Result<NullRuntime> {
    let runtime = NullRuntime::new();
    let now = runtime.clock().now();
    for (name, minutes, state) in [
        ("ci-job-1", 600, ContainerState::Exited),
        ("ci-job-2", 600, ContainerState::Running),
        ("ci-job-3", 90, ContainerState::Created),
        ("ci-job-4", 5, ContainerState::Running),
        ("ci-job-5", 600, ContainerState::Exited),
        ("ci-job-6", 600, ContainerState::Running),
        ("ci-jobs-1", 600, ContainerState::Running),
    ] {
        let mut info = ContainerInfo::new(
            ContainerName::new(name)?,
            format!("id-{name}").try_into()?,
            state,
        );
        info.created = now.checked_sub(Duration::from_secs(minutes * 60));
        runtime.set_container(info);
    }
    runtime.set_label("ci-job-5", KEEP_LABEL, "look at the core dump")?;
    // Launched with `LaunchSpecBuilder::owner`, by a service that runs for days.
    runtime.set_label("ci-job-6", Owner::LABEL, Owner::this_process()?.to_string())?;
    let busy =
        Fault::refused(ErrorKind::BackendFailed, "its file system is still mounted");
    runtime.inject(Operation::Remove, Scope::container("ci-job-2")?, When::Next, busy);
    Ok(runtime)
}
