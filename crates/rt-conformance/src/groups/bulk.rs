//! Bulk: listings and removals of many containers.

use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{Capability, Container, ContainerFilter, ContainerName, ContainerState, NamePrefix};

use crate::case::{Case, Group, Need};
use crate::ensure::all_removed;
use crate::lab::{inside, patience};
use crate::{Failure, Lab, Script, Verdict};

const fn fact(name: &'static str, run: fn(&Lab<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Bulk, run)
}

const LIST: &[Capability] = &[Capability::List, Capability::Create, Capability::ForceRemove];
const REMOVE: &[Capability] = &[Capability::ForceRemove];
const STATES: &[Capability] =
    &[Capability::List, Capability::Create, Capability::ForceRemove, Capability::Start, Capability::Stop];
const SIZES: &[Capability] =
    &[Capability::RwSize, Capability::Create, Capability::ForceRemove, Capability::Start];

pub(super) const CASES: &[Case] = &[
    fact("bulk: the listing has what was made", listed).can(LIST),
    fact("bulk: the listing of a family has its members alone", family).can(LIST),
    fact("bulk: a family is told from one whose name goes on", longer_family).can(LIST),
    fact("bulk: a dot in a prefix is a dot", dotted_prefix).can(LIST),
    fact("bulk: a container named as the prefix is no member", named_as_prefix).can(LIST),
    fact("bulk: handles of a family are on its members, running or not", handles).can(STATES),
    fact("bulk: states are those of each member", states).can(STATES),
    fact("bulk: an empty family is an empty answer", empty_family).can(&[Capability::List]),
    fact("bulk: the listing agrees with inspect", agrees).can(LIST),
    fact("bulk: the listing keeps its order", stable).can(LIST),
    fact("bulk: what was removed is not listed", removed_unlisted).can(LIST),
    fact("bulk: removal answers one result for each name, in order", remove_in_order).can(LIST),
    fact("bulk: removal spares the others", spares).can(LIST),
    fact("bulk: removing what is not there is removed", remove_absent).can(REMOVE),
    fact("bulk: removing nothing answers nothing", remove_nothing).can(REMOVE),
    fact("bulk: a name that comes twice has two results", remove_twice)
        .can(&[Capability::Create, Capability::ForceRemove]),
    fact("bulk: removal takes the running, the ended and the unstarted", remove_any_state).can(STATES),
    fact("bulk: sizes are those of each member, in bytes", sizes)
        .can(SIZES)
        .needs(&[Need::Shell, Need::Files]),
    fact("bulk: the size of the absent is none", absent_size).can(&[Capability::RwSize]),
];

/// Unstarted containers of one family.
fn members(lab: &Lab<'_>, family: &NamePrefix, rests: &[&str]) -> Result<Vec<Arc<dyn Container>>, Failure> {
    rests.iter().map(|rest| lab.created_as(&lab.member(family, rest)?, &Script::Stand)).collect()
}

fn names_of(lab: &Lab<'_>, family: &NamePrefix) -> Result<Vec<ContainerName>, Failure> {
    let mut names: Vec<_> = lab
        .runtime()
        .list(&ContainerFilter::prefix(family.clone()))?
        .into_iter()
        .map(|info| info.name)
        .collect();
    names.sort();
    Ok(names)
}

fn keys(containers: &[Arc<dyn Container>]) -> Vec<ContainerName> {
    let mut names: Vec<_> = containers.iter().map(|container| container.key().name.clone()).collect();
    names.sort();
    names
}

fn listed(lab: &Lab<'_>) -> Verdict {
    let made = lab.created(&Script::Stand)?;
    let all = lab.runtime().list(&ContainerFilter::all())?;
    let found = all.iter().find(|info| info.name == made.key().name);
    let Some(found) = found else { return Err(Failure::new(format!("{} is not listed", made.key().name))) };
    ensure_eq!(Some(found.id.clone()), made.id()?, "its id");
    ensure_eq!(found.state, ContainerState::Created, "its state");
    Ok(())
}

fn family(lab: &Lab<'_>) -> Verdict {
    let (ours, theirs) = (lab.family()?, lab.family()?);
    let made = members(lab, &ours, &["a", "b"])?;
    members(lab, &theirs, &["a"])?;
    ensure_eq!(names_of(lab, &ours)?, keys(&made), "the members");
    Ok(())
}

fn longer_family(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = members(lab, &family, &["a"])?;
    members(lab, &NamePrefix::new(format!("{family}2"))?, &["a"])?;
    ensure_eq!(names_of(lab, &family)?, keys(&made), "the members");
    let states: Vec<_> = lab.runtime().states(&family)?.into_keys().collect();
    ensure_eq!(states, keys(&made), "the members whose states are told");
    Ok(())
}

fn dotted_prefix(lab: &Lab<'_>) -> Verdict {
    let stem = lab.family()?;
    let (dotted, other) = (NamePrefix::new(format!("{stem}.b"))?, NamePrefix::new(format!("{stem}Xb"))?);
    let made = members(lab, &dotted, &["1"])?;
    members(lab, &other, &["1"])?;
    ensure_eq!(names_of(lab, &dotted)?, keys(&made), "the members");
    Ok(())
}

fn named_as_prefix(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = members(lab, &family, &["a"])?;
    let alone = ContainerName::new(family.as_str())?;
    lab.remove_afterwards(&alone);
    lab.created_as(&alone, &Script::Stand)?;
    ensure_eq!(names_of(lab, &family)?, keys(&made), "the members");
    Ok(())
}

/// One unstarted, one running, one ended.
fn three_states(lab: &Lab<'_>, family: &NamePrefix) -> Result<Vec<Arc<dyn Container>>, Failure> {
    let made = members(lab, family, &["created", "running", "ended"])?;
    lab.begin(made[1].as_ref())?;
    lab.begin(made[2].as_ref())?;
    made[2].stop(Duration::ZERO, &patience())?;
    Ok(made)
}

fn handles(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = three_states(lab, &family)?;
    let found = lab.runtime().containers_with_prefix(&family)?;
    ensure_eq!(keys(&found), keys(&made), "the handles");
    ensure!(found.iter().all(|handle| made.contains(handle)), "a handle differs from that of create");
    Ok(())
}

fn states(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = three_states(lab, &family)?;
    let states = lab.runtime().states(&family)?;
    ensure_eq!(states.len(), 3, "how many states are told");
    ensure_eq!(states.get(&made[0].key().name), Some(&ContainerState::Created), "the unstarted one");
    ensure_eq!(states.get(&made[1].key().name), Some(&ContainerState::Running), "the running one");
    let ended = states.get(&made[2].key().name);
    ensure!(ended.is_some_and(ContainerState::has_exited), "the ended one is {ended:?}");
    Ok(())
}

fn empty_family(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    ensure_eq!(lab.runtime().list(&ContainerFilter::prefix(family.clone()))?, [], "the listing");
    ensure!(lab.runtime().states(&family)?.is_empty(), "states are told of nobody");
    ensure!(lab.runtime().containers_with_prefix(&family)?.is_empty(), "there are handles on nobody");
    Ok(())
}

fn agrees(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let name = lab.member(&family, "a")?;
    let made = lab.create_from(lab.describe(&name).command(Script::Stand.argv()).label("rt.suite", "1"))?;
    let listed = lab.runtime().list(&ContainerFilter::prefix(family))?.into_iter().next();
    let (Some(listed), Some(seen)) = (listed, made.inspect()?) else {
        return Err(Failure::new("it is not listed, or it is gone"));
    };
    ensure_eq!(
        (listed.name, listed.id, listed.state),
        (seen.name, seen.id, seen.state),
        "name, id and state"
    );
    ensure_eq!(listed.labels.get("rt.suite"), seen.labels.get("rt.suite"), "the label");
    ensure_eq!(listed.image_id, seen.image_id, "the id of the image");
    Ok(())
}

fn stable(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    members(lab, &family, &["c", "a", "b"])?;
    let order = || -> Result<Vec<_>, Failure> {
        let listed = lab.runtime().list(&ContainerFilter::prefix(family.clone()))?;
        Ok(listed.into_iter().map(|info| info.name).collect())
    };
    let first = order()?;
    ensure_eq!(first.len(), 3, "how many are listed");
    ensure_eq!(order()?, first, "the order of the next listing");
    Ok(())
}

fn removed_unlisted(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = members(lab, &family, &["a", "b"])?;
    all_removed(lab.runtime().force_remove(&[made[0].key().name.clone()], &patience()))?;
    ensure_eq!(names_of(lab, &family)?, keys(&made[1..]), "who is listed");
    ensure_eq!(made[0].state()?, None, "the state of the removed one");
    Ok(())
}

fn remove_in_order(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = members(lab, &family, &["b", "a"])?;
    let nobody = lab.member(&family, "0-nobody")?;
    let names = [made[0].key().name.clone(), nobody, made[1].key().name.clone()];
    let results = lab.runtime().force_remove(&names, &patience());
    let order: Vec<_> = results.iter().map(|result| result.name.clone()).collect();
    ensure_eq!(order, names, "the names of the results");
    for result in &results {
        ensure!(result.removed && result.error.is_none(), "a result is {result:?}");
    }
    // "Known to be absent" is a promise: an engine may say it and do nothing.
    ensure_eq!(names_of(lab, &family)?, [], "who is left");
    Ok(())
}

fn spares(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = members(lab, &family, &["a", "aa", "a-b"])?;
    all_removed(lab.runtime().force_remove(&[made[0].key().name.clone()], &patience()))?;
    ensure_eq!(names_of(lab, &family)?, keys(&made[1..]), "who is left");
    Ok(())
}

fn remove_absent(lab: &Lab<'_>) -> Verdict {
    let nobody = lab.absent()?.key().name.clone();
    let results = lab.runtime().force_remove(std::slice::from_ref(&nobody), &patience());
    ensure!(
        matches!(&results[..], [result] if result.removed && result.name == nobody && result.error.is_none()),
        "the results are {results:?}"
    );
    Ok(())
}

fn remove_nothing(lab: &Lab<'_>) -> Verdict {
    let results = lab.runtime().force_remove(&[], &patience());
    ensure!(results.is_empty(), "the results are {results:?}");
    Ok(())
}

fn remove_twice(lab: &Lab<'_>) -> Verdict {
    let name = lab.created(&Script::Stand)?.key().name.clone();
    let results = lab.runtime().force_remove(&[name.clone(), name.clone()], &patience());
    let good = results.len() == 2 && results.iter().all(|result| result.removed && result.name == name);
    ensure!(good, "the results are {results:?}");
    Ok(())
}

fn remove_any_state(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let names = keys(&three_states(lab, &family)?);
    let begin = std::time::Instant::now();
    let results = lab.runtime().force_remove(&names, &patience());
    ensure!(results.iter().all(|result| result.removed), "the results are {results:?}");
    // By force means without the grace of a stop.
    ensure!(begin.elapsed() < Duration::from_secs(8), "the removal took {:?}", begin.elapsed());
    ensure_eq!(names_of(lab, &family)?, [], "who is left");
    Ok(())
}

fn sizes(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    let made = members(lab, &family, &["big", "small"])?;
    lab.begin(made[0].as_ref())?;
    let directory = lab.guest_dir(made[0].as_ref())?;
    Lab::text_in(made[0].as_ref(), &Script::Fill { path: inside(&directory, "full"), bytes: 1 << 20 })?;
    let sizes = lab.runtime().rw_sizes(&family)?;
    let of = |place: usize| sizes.get(&made[place].key().name).copied().unwrap_or_default();
    ensure_eq!(sizes.len(), 2, "how many sizes are told");
    ensure!(of(0) >= 1 << 20, "a container with a MiB written has {} bytes", of(0));
    ensure!(of(1) < 1 << 20, "an unstarted container has {} bytes", of(1));
    let one = made[0].rw_size()?;
    ensure!(one.is_some_and(|size| size >= 1 << 20), "asked alone, its size is {one:?}");
    Ok(())
}

fn absent_size(lab: &Lab<'_>) -> Verdict {
    ensure_eq!(lab.absent()?.rw_size()?, None, "the size of the absent");
    Ok(())
}
