//! Removes several containers in one call, with a result for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rt_protocol::{
    ContainerId, ContainerName, ContainerRemoveResult, ContainerState, Error, ErrorKind, Result, Until,
};

use crate::cli::answer::Verdict;
use crate::cli::failure::Failure;
use crate::state::RuntimeState;
use crate::state::inspect::Listed;
use crate::state::main_process::{self, MainProcess};

/// Why containers could not be removed.
type Errors = BTreeMap<ContainerName, Error>;

const OPERATION: &str = "remove";

/// Removes `names`; one result each, in order.
///
/// One listing shows which containers exist and what runs. One `podman rm` removes all of them. If
/// podman does not name every container, a second listing shows which are really gone: podman 4.3
/// exits with 0 and removes nothing if a name is missing and `--ignore` is not given, so its exit
/// code alone proves nothing. Remaining containers are removed one by one, to get podman's reason.
/// A container counts as removed if it has neither a record nor a process.
pub(crate) fn force_remove(
    shared: &Arc<RuntimeState>,
    names: &[ContainerName],
    until: &Until,
) -> Vec<ContainerRemoveResult> {
    if names.is_empty() {
        return Vec::new();
    }
    let until = until.clone().or_default(shared.engine.limits.remove);
    for name in names {
        shared.forget(name);
    }
    let errors = match remove_all(shared, names, &until) {
        Ok(errors) => errors,
        Err(error) => names.iter().map(|name| (name.clone(), error.clone().in_container(name))).collect(),
    };
    names
        .iter()
        .map(|name| match errors.get(name) {
            Some(error) => ContainerRemoveResult::failed(name.clone(), error.clone()),
            None => ContainerRemoveResult::removed(name.clone()),
        })
        .collect()
}

/// A container that is to be removed.
#[derive(Clone)]
struct Removal {
    name: ContainerName,
    /// The word for podman: its name, or its id if podman could take the name for the beginning of
    /// another id.
    word: String,
    id: ContainerId,
    state: ContainerState,
    process: Option<MainProcess>,
}

impl Removal {
    fn of(listed: Listed) -> Self {
        let Listed { info, pid } = listed;
        let word = if info.name.looks_like_id() { info.id.to_string() } else { info.name.to_string() };
        let process = pid.and_then(|pid| MainProcess::find(info.id.as_str(), pid));
        Self { name: info.name, word, id: info.id, state: info.state, process }
    }

    /// Returns whether it has ended, as far as this host can see, while podman considers it
    /// running.
    fn is_over(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Stopping)
            && self.process.as_ref().is_none_or(MainProcess::is_over)
    }

    /// Returns whether it is frozen while podman considers it running, as after a pause whose
    /// client was ended. On cgroup v1 podman cannot kill it then, and at the second attempt claims
    /// to have removed it (4.3.1).
    fn is_frozen_unpaused(&self) -> bool {
        self.state == ContainerState::Running && self.freezer() == Some(true)
    }

    /// Returns whether it runs while podman considers it paused.
    fn runs_paused(&self) -> bool {
        self.state == ContainerState::Paused && self.freezer() == Some(false)
    }

    fn freezer(&self) -> Option<bool> {
        self.process.as_ref()?.freezer()
    }

    /// Freezes or thaws it, whatever podman considers it to be.
    fn set_frozen(&self, frozen: bool) {
        if let Some(Err(error)) = self.process.as_ref().map(|process| process.set_frozen(frozen)) {
            // The removal shows whether it matters.
            tracing::debug!(operation = OPERATION, %error, "its control groups cannot be set");
        }
    }
}

/// Returns the error of each container that could not be removed.
fn remove_all(shared: &Arc<RuntimeState>, names: &[ContainerName], until: &Until) -> Result<Errors> {
    let wanted: BTreeSet<_> = names.iter().collect();
    let mut targets = shared.list_with_processes(OPERATION, until)?;
    targets.retain(|listed| wanted.contains(&listed.info.name));
    let targets: Vec<_> = targets.into_iter().map(Removal::of).collect();
    if targets.is_empty() {
        return Ok(Errors::new());
    }
    for target in targets.iter().filter(|target| target.state == ContainerState::Stopping) {
        end_stopping(shared, target, until);
    }
    for target in targets.iter().filter(|target| target.is_frozen_unpaused()) {
        thaw(shared, target, until);
    }
    let mut errors = remove_records(shared, &targets, until)?;
    // podman thaws what it removes, and runc resumes nothing that runs.
    let is_refused = |target: &&Removal| errors.contains_key(&target.name) && target.runs_paused();
    let refused: Vec<_> = targets.iter().filter(is_refused).cloned().collect();
    if !refused.is_empty() {
        for target in &refused {
            target.set_frozen(true);
        }
        let again = remove_records(shared, &refused, until)?;
        errors.retain(|name, _| refused.iter().all(|target| target.name != *name));
        errors.extend(again);
    }
    let gone: Vec<_> = targets.iter().filter(|target| !errors.contains_key(&target.name)).collect();
    let processes: Vec<_> = gone.iter().filter_map(|target| target.process.clone()).collect();
    for (id, process) in main_process::end_all(&processes) {
        if let Some(target) = gone.iter().find(|target| target.id.as_str() == id) {
            let message = format!(
                "podman has removed its record, and process {} ({:?}) of it runs on",
                process.pid, process.name
            );
            let error = Error::new(ErrorKind::BackendFailed, OPERATION, message)
                .in_container(&target.name)
                .with_hint("end that process by hand");
            errors.insert(target.name.clone(), error);
        }
    }
    Ok(errors)
}

/// Kills a container that is being stopped: podman 4.3 would drop its record and leave its process
/// alone, but `kill` works.
fn end_stopping(shared: &RuntimeState, target: &Removal, until: &Until) {
    // If it has ended meanwhile, podman refuses; what is left is checked afterwards.
    drop(shared.engine.ask_until(OPERATION, until, ["kill", "--signal=KILL", "--", target.id.as_str()]));
    if let Some(process) = &target.process {
        process.wait(until);
    }
}

/// Pauses and unpauses a frozen container, because podman only unpauses what it has paused itself.
/// runc pauses nothing that is frozen.
fn thaw(shared: &RuntimeState, target: &Removal, until: &Until) {
    for verb in ["pause", "unpause"] {
        // The removal shows whether it helped.
        drop(shared.engine.ask_until(OPERATION, until, [verb, "--", target.id.as_str()]));
    }
    target.set_frozen(false);
}

fn remove_records(shared: &Arc<RuntimeState>, targets: &[Removal], until: &Until) -> Result<Errors> {
    let together = remove(shared, targets.iter().map(|target| &target.word), until);
    let is_said = |target: &Removal| match &together {
        Ok(Ok(said)) => said.lines().any(|line| line.trim() == target.word),
        _ => false,
    };
    if targets.iter().all(is_said) {
        return Ok(Errors::new());
    }
    let there: BTreeSet<_> = match shared.list(OPERATION, until) {
        Ok(found) => found.into_iter().map(|info| info.name).collect(),
        // It is unknown which are gone; the first failure is more useful than the second.
        Err(error) => return Err(together.err().unwrap_or(error)),
    };
    let mut errors = Errors::new();
    let mut said_gone = Vec::new();
    for target in targets.iter().filter(|target| there.contains(&target.name)) {
        let Removal { name, word, .. } = target;
        let answer = match &together {
            // podman may have refused a container because of another one in the same call. And it
            // refuses a container whose conmon was killed once, because there is nothing to kill
            // (4.3.1).
            Ok(_) if targets.len() > 1 || target.is_over() => remove(shared, [word].into_iter(), until),
            answer => answer.clone(),
        };
        let error = match answer {
            Ok(Ok(_)) => None,
            Ok(Err(refusal)) => match refusal.failure() {
                Failure::NoSuchContainer | Failure::Removed => None,
                _ => Some(refusal.of_container(OPERATION, name)),
            },
            Err(error) => Some(error.in_container(name)),
        };
        match error {
            Some(error) => drop(errors.insert(name.clone(), error)),
            None => said_gone.push(name.clone()),
        }
    }
    if !said_gone.is_empty() {
        errors.extend(still_there(shared, said_gone, until));
    }
    Ok(errors)
}

/// Returns an error for each container that podman claims to have removed and still lists.
fn still_there(
    shared: &Arc<RuntimeState>,
    said_gone: Vec<ContainerName>,
    until: &Until,
) -> Vec<(ContainerName, Error)> {
    let listed = shared.list(OPERATION, until);
    let error_of = |name: &ContainerName| match &listed {
        Ok(found) => found.iter().any(|info| info.name == *name).then(|| {
            Error::new(
                ErrorKind::BackendFailed,
                OPERATION,
                "podman answered with success, and it is still there",
            )
            .with_hint("remove it by hand, and see what podman says")
        }),
        Err(error) => Some(error.clone()),
    };
    said_gone
        .into_iter()
        .filter_map(|name| error_of(&name).map(|error| error.in_container(&name)).map(|error| (name, error)))
        .collect()
}

fn remove<'a>(
    shared: &RuntimeState,
    targets: impl Iterator<Item = &'a String>,
    until: &Until,
) -> Result<Verdict<String>> {
    let args = ["rm", "--force", "--ignore", "--volumes", "--time=0", "--"].into_iter();
    shared.engine.ask_until(OPERATION, until, args.chain(targets.map(String::as_str)))?.told()
}
