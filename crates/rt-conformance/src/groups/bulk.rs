//! Bulk: lists and removals of many containers.

use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{
    Capability, Container, ContainerExt, ContainerFilter, ContainerName, ContainerRuntimeExt, ContainerState,
    NamePrefix, Owner,
};

use crate::context::inside;
use crate::required::MAKE;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
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
    fact("bulk: a label is read with its value", labelled).can(LIST),
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
    fact("bulk: a name that comes twice has two results", remove_twice).can(MAKE),
    fact("bulk: removal takes the running, the ended and the unstarted", remove_any_state).can(STATES),
    fact("bulk: a family is removed with all its members, and with no other", remove_family).can(STATES),
    fact("bulk: removing an empty family answers nothing", remove_empty_family)
        .can(&[Capability::List, Capability::ForceRemove]),
    fact("bulk: only those whose owner has ended are orphans", remove_orphans).can(LIST),
    fact("bulk: sizes are those of each member, in bytes", sizes)
        .can(SIZES)
        .needs(&[Need::Shell, Need::Files]),
    fact("bulk: the size of the absent is none", absent_size).can(&[Capability::RwSize]),
];

/// Creates containers with one prefix, without starting them.
fn members(
    context: &TestContext<'_>,
    family: &NamePrefix,
    rests: &[&str],
) -> Result<Vec<Arc<dyn Container>>, Failure> {
    rests.iter().map(|rest| context.created_as(&context.member(family, rest)?, &Script::Stand)).collect()
}

fn names_of(context: &TestContext<'_>, family: &NamePrefix) -> Result<Vec<ContainerName>, Failure> {
    let mut names: Vec<_> = context
        .runtime()
        .list(&ContainerFilter::prefix(family.clone()), &timeout())?
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

fn listed(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    let all = context.runtime().list(&ContainerFilter::all(), &timeout())?;
    let found = all.iter().find(|info| info.name == made.key().name);
    let Some(found) = found else { return Err(Failure::new(format!("{} is not listed", made.key().name))) };
    ensure_eq!(Some(found.id.clone()), made.id(timeout())?, "its id")?;
    ensure_eq!(found.state, ContainerState::Created, "its state")
}

fn family(context: &TestContext<'_>) -> Verdict {
    let (ours, theirs) = (context.family()?, context.family()?);
    let made = members(context, &ours, &["a", "b"])?;
    members(context, &theirs, &["a"])?;
    ensure_eq!(names_of(context, &ours)?, keys(&made), "the members")
}

fn longer_family(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = members(context, &family, &["a"])?;
    members(context, &NamePrefix::new(format!("{family}2"))?, &["a"])?;
    ensure_eq!(names_of(context, &family)?, keys(&made), "the members")?;
    let states: Vec<_> = context.runtime().states(&family, timeout())?.into_keys().collect();
    ensure_eq!(states, keys(&made), "the members whose states are told")
}

fn dotted_prefix(context: &TestContext<'_>) -> Verdict {
    let stem = context.family()?;
    let (dotted, other) = (NamePrefix::new(format!("{stem}.b"))?, NamePrefix::new(format!("{stem}Xb"))?);
    let made = members(context, &dotted, &["1"])?;
    members(context, &other, &["1"])?;
    ensure_eq!(names_of(context, &dotted)?, keys(&made), "the members")
}

fn named_as_prefix(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = members(context, &family, &["a"])?;
    let alone = ContainerName::new(family.as_str())?;
    context.remove_afterwards(&alone);
    context.created_as(&alone, &Script::Stand)?;
    ensure_eq!(names_of(context, &family)?, keys(&made), "the members")
}

/// Creates one container that was not started, one that runs, and one that has ended.
fn three_states(context: &TestContext<'_>, family: &NamePrefix) -> Result<Vec<Arc<dyn Container>>, Failure> {
    let made = members(context, family, &["created", "running", "ended"])?;
    context.start(made[1].as_ref())?;
    context.start(made[2].as_ref())?;
    made[2].stop(Duration::ZERO, &timeout())?;
    Ok(made)
}

fn handles(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = three_states(context, &family)?;
    let found = context.runtime().containers_with_prefix(&family, timeout())?;
    ensure_eq!(keys(&found), keys(&made), "the handles")?;
    ensure!(found.iter().all(|handle| made.contains(handle)), "a handle differs from that of create")
}

fn states(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = three_states(context, &family)?;
    let states = context.runtime().states(&family, timeout())?;
    ensure_eq!(states.len(), 3, "how many states are told")?;
    ensure_eq!(states.get(&made[0].key().name), Some(&ContainerState::Created), "the unstarted one")?;
    ensure_eq!(states.get(&made[1].key().name), Some(&ContainerState::Running), "the running one")?;
    let ended = states.get(&made[2].key().name);
    ensure!(ended.is_some_and(ContainerState::has_exited), "the ended one is {ended:?}")
}

fn empty_family(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    ensure_eq!(
        context.runtime().list(&ContainerFilter::prefix(family.clone()), &timeout())?,
        [],
        "the listing"
    )?;
    ensure!(context.runtime().states(&family, timeout())?.is_empty(), "states are told of nobody")?;
    ensure!(
        context.runtime().containers_with_prefix(&family, timeout())?.is_empty(),
        "there are handles on nobody"
    )
}

fn agrees(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let name = context.member(&family, "a")?;
    let made = context
        .create_from(context.launch_spec(&name).command(Script::Stand.argv()).label("rt.suite", "1"))?;
    let listed = context.runtime().list(&ContainerFilter::prefix(family), &timeout())?.into_iter().next();
    let (Some(listed), Some(seen)) = (listed, made.inspect(&timeout())?) else {
        return Err(Failure::new("it is not listed, or it is gone"));
    };
    ensure_eq!(
        (listed.name, listed.id, listed.state),
        (seen.name, seen.id, seen.state),
        "name, id and state"
    )?;
    ensure_eq!(listed.labels.get("rt.suite"), seen.labels.get("rt.suite"), "the label")?;
    ensure_eq!(listed.image_id, seen.image_id, "the id of the image")
}

fn stable(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    members(context, &family, &["c", "a", "b"])?;
    let order = || -> Result<Vec<_>, Failure> {
        let listed = context.runtime().list(&ContainerFilter::prefix(family.clone()), &timeout())?;
        Ok(listed.into_iter().map(|info| info.name).collect())
    };
    let first = order()?;
    ensure_eq!(first.len(), 3, "how many are listed")?;
    ensure_eq!(order()?, first, "the order of the next listing")
}

fn removed_unlisted(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = members(context, &family, &["a", "b"])?;
    context.remove(made[0].as_ref())?;
    ensure_eq!(names_of(context, &family)?, keys(&made[1..]), "who is listed")?;
    ensure_eq!(made[0].state(timeout())?, None, "the state of the removed one")
}

fn remove_in_order(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = members(context, &family, &["b", "a"])?;
    let nobody = context.member(&family, "0-nobody")?;
    let names = [made[0].key().name.clone(), nobody, made[1].key().name.clone()];
    let results = context.runtime().force_remove(&names, &timeout());
    let order: Vec<_> = results.iter().map(|result| result.name.clone()).collect();
    ensure_eq!(order, names, "the names of the results")?;
    for result in &results {
        ensure!(result.removed && result.error.is_none(), "a result is {result:?}")?;
    }
    // "Known to be absent" is a promise: an engine may say it and do nothing.
    ensure_eq!(names_of(context, &family)?, [], "who is left")
}

fn spares(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = members(context, &family, &["a", "aa", "a-b"])?;
    context.remove(made[0].as_ref())?;
    ensure_eq!(names_of(context, &family)?, keys(&made[1..]), "who is left")
}

fn remove_absent(context: &TestContext<'_>) -> Verdict {
    let nobody = context.unused_name()?;
    let results = context.runtime().force_remove(std::slice::from_ref(&nobody), &timeout());
    ensure!(
        matches!(&results[..], [result] if result.removed && result.name == nobody && result.error.is_none()),
        "the results are {results:?}"
    )
}

fn remove_nothing(context: &TestContext<'_>) -> Verdict {
    let results = context.runtime().force_remove(&[], &timeout());
    ensure!(results.is_empty(), "the results are {results:?}")
}

fn remove_twice(context: &TestContext<'_>) -> Verdict {
    let name = context.created(&Script::Stand)?.key().name.clone();
    let results = context.runtime().force_remove(&[name.clone(), name.clone()], &timeout());
    let good = results.len() == 2 && results.iter().all(|result| result.removed && result.name == name);
    ensure!(good, "the results are {results:?}")
}

fn remove_any_state(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let names = keys(&three_states(context, &family)?);
    let begin = std::time::Instant::now();
    let results = context.runtime().force_remove(&names, &timeout());
    ensure!(results.iter().all(|result| result.removed), "the results are {results:?}")?;
    // By force means without the grace period of a stop.
    ensure!(begin.elapsed() < Duration::from_secs(8), "the removal took {:?}", begin.elapsed())?;
    ensure_eq!(names_of(context, &family)?, [], "who is left")
}

fn sizes(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = members(context, &family, &["big", "small"])?;
    context.start(made[0].as_ref())?;
    let directory = context.guest_dir(made[0].as_ref())?;
    TestContext::text_in(
        made[0].as_ref(),
        &Script::Fill { path: inside(&directory, "full"), bytes: 1 << 20 },
    )?;
    let sizes = context.runtime().rw_sizes(&family, &timeout())?;
    let of = |place: usize| sizes.get(&made[place].key().name).copied().unwrap_or_default();
    ensure_eq!(sizes.len(), 2, "how many sizes are told")?;
    ensure!(of(0) >= 1 << 20, "a container with a MiB written has {} bytes", of(0))?;
    ensure!(of(1) < 1 << 20, "an unstarted container has {} bytes", of(1))?;
    let one = made[0].rw_size(&timeout())?;
    ensure!(one.is_some_and(|size| size >= 1 << 20), "asked alone, its size is {one:?}")
}

fn absent_size(context: &TestContext<'_>) -> Verdict {
    ensure_eq!(context.missing_container()?.rw_size(&timeout())?, None, "the size of the absent")
}

fn remove_family(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let made = three_states(context, &family)?;
    let longer = members(context, &NamePrefix::new(format!("{family}2"))?, &["a"])?;
    let alone = ContainerName::new(family.as_str())?;
    context.remove_afterwards(&alone);
    let alone = context.created_as(&alone, &Script::Stand)?;
    let results = context.runtime().remove_family(&family, timeout())?;
    let removed: Vec<_> = results.iter().map(|result| result.name.clone()).collect();
    ensure_eq!(removed, keys(&made), "the names of the results")?;
    ensure!(results.iter().all(|result| result.removed), "not all are removed: {results:?}")?;
    ensure_eq!(names_of(context, &family)?, [], "the members afterwards")?;
    for other in longer.iter().chain([&alone]) {
        ensure!(other.state(timeout())?.is_some(), "{} is removed too", other.key().name)?;
    }
    Ok(())
}

fn remove_empty_family(context: &TestContext<'_>) -> Verdict {
    let results = context.runtime().remove_family(&context.family()?, timeout())?;
    ensure!(results.is_empty(), "the results are {results:?}")
}

fn remove_orphans(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let alive = Owner::this_process()?;
    // A process with the same id that started at another time.
    let text = alive.to_string();
    let (rest, _) = text.rsplit_once(':').unwrap_or_default();
    let ended: Owner = format!("{rest}:1").parse()?;
    let values = [("alive", Some(alive.to_string())), ("ended", Some(ended.to_string())), ("none", None)];
    for (rest, value) in values.into_iter().chain([("other", Some(String::from("somebody")))]) {
        let spec = context.launch_spec(&context.member(&family, rest)?).command(Script::Stand.argv());
        context.create_from(match value {
            Some(value) => spec.label(Owner::LABEL, value),
            None => spec,
        })?;
    }
    let owners: Vec<_> = context
        .runtime()
        .list(&ContainerFilter::prefix(family.clone()), &timeout())?
        .iter()
        .filter_map(|info| Owner::of(info).map(|owner| (info.name.clone(), owner)))
        .collect();
    ensure!(
        owners.len() == 2 && owners.iter().any(|(_, owner)| *owner == alive),
        "the owners that are listed: {owners:?}"
    )?;
    let results = context.runtime().remove_orphans(&family, timeout())?;
    let removed: Vec<_> = results.iter().map(|result| (result.name.clone(), result.removed)).collect();
    ensure_eq!(removed, [(context.member(&family, "ended")?, true)], "what was removed")?;
    let stay: Result<Vec<_>, _> =
        ["alive", "none", "other"].map(|rest| context.member(&family, rest)).into_iter().collect();
    ensure_eq!(names_of(context, &family)?, stay?, "who is left")
}

fn labelled(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    // Characters that an engine's own filter would read.
    let value = "x,y=z*";
    for (rest, labels) in [("a", &["rt.suite"][..]), ("b", &["rt.suite", "rt.other"]), ("c", &[])] {
        let spec = context.launch_spec(&context.member(&family, rest)?).command(Script::Stand.argv());
        context.create_from(labels.iter().fold(spec, |spec, key| spec.label(*key, value)))?;
    }
    let count =
        |filter: ContainerFilter| Ok::<_, Failure>(context.runtime().list(&filter, &timeout())?.len());
    let family = || ContainerFilter::prefix(family.clone());
    ensure_eq!(count(family())?, 3, "the members")?;
    ensure_eq!(count(family().label("rt.suite", value))?, 2, "those with the label")?;
    ensure_eq!(count(family().label("rt.suite", value).label("rt.other", value))?, 1, "those with both")?;
    for other in ["", "x", "x,y=z", "*"] {
        ensure_eq!(count(family().label("rt.suite", other))?, 0, "those with another value")?;
    }
    Ok(())
}
