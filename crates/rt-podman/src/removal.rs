//! Removing many containers in one go, with a result for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rt_protocol::{ContainerName, ContainerRemoveResult, Error, ErrorKind, Until};

use crate::answer::Verdict;
use crate::failure::Failure;
use crate::runtime_state::RuntimeState;

const OPERATION: &str = "remove";

/// Removes `names`; one result each, in order.
///
/// One `podman rm` for all of them, then one listing that tells who is really gone: podman 4.3 answers 0 and removes
/// nothing when a name is missing and `--ignore` is not given, so its exit code alone proves nothing. Who is still there
/// is removed alone, to hear podman's reason.
pub(crate) fn force_remove(
    shared: &Arc<RuntimeState>,
    names: &[ContainerName],
    until: &Until,
) -> Vec<ContainerRemoveResult> {
    if names.is_empty() {
        return Vec::new();
    }
    let until = if until.deadline().is_some() {
        until.clone()
    } else {
        until.clone().or_after(shared.engine.limits.remove)
    };
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

/// Why each of those that are still there could not be removed.
fn remove_all(
    shared: &Arc<RuntimeState>,
    names: &[ContainerName],
    until: &Until,
) -> rt_protocol::Result<BTreeMap<ContainerName, Error>> {
    let mut targets: BTreeMap<ContainerName, String> =
        names.iter().map(|name| (name.clone(), name.to_string())).collect();
    // podman would take such a name for the beginning of an id, and remove another container.
    if targets.keys().any(ContainerName::looks_like_id) {
        let ids: BTreeMap<_, _> =
            shared.list(OPERATION, until)?.into_iter().map(|info| (info.name, info.id)).collect();
        targets.retain(|name, target| match ids.get(name) {
            _ if !name.looks_like_id() => true,
            Some(id) => {
                target.clone_from(id);
                true
            }
            None => false,
        });
    }
    if targets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let together = remove(shared, targets.values(), until);
    let there: BTreeSet<_> = match shared.list(OPERATION, until) {
        Ok(found) => found.into_iter().map(|info| info.name).collect(),
        // Nobody knows who is gone; the first failure says more than the second.
        Err(error) => return Err(together.err().unwrap_or(error)),
    };
    targets.retain(|name, _| there.contains(name));
    let alone = targets.len() == 1;
    let mut errors = BTreeMap::new();
    let mut said_gone = Vec::new();
    for (name, target) in targets {
        let answer = match &together {
            // Whom podman has refused in company it may have refused for another's sake.
            Ok(_) if !alone || names.len() > 1 => remove(shared, [&target].into_iter(), until),
            Ok(answer) => Ok(answer.clone()),
            Err(error) => Err(error.clone()),
        };
        let error = match answer {
            Ok(Ok(_)) => None,
            Ok(Err(refusal)) => match refusal.failure() {
                Failure::NoSuchContainer | Failure::Removed => None,
                _ => Some(refusal.of_container(OPERATION, &name)),
            },
            Err(error) => Some(error.in_container(&name)),
        };
        match error {
            Some(error) => drop(errors.insert(name, error)),
            None => said_gone.push(name),
        }
    }
    if !said_gone.is_empty() {
        errors.extend(still_there(shared, said_gone, until));
    }
    Ok(errors)
}

/// An error for each of those that podman says to have removed and lists all the same.
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
) -> rt_protocol::Result<Verdict<String>> {
    let args = ["rm", "--force", "--ignore", "--volumes", "--time=0", "--"].into_iter();
    shared.engine.ask_until(OPERATION, until, args.chain(targets.map(String::as_str)))?.told()
}
