//! Images, with the operations that a program needs to run containers.

use std::collections::HashSet;
use std::sync::Arc;

use rt_protocol::{Capability, Image, ImageExt, ImageFilter, ImageRef, ImageRemoval};

use crate::required::MAKE;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Images, run).can(IMAGES)
}

const IMAGES: &[Capability] = &[Capability::Images];

pub(super) const CASES: &[Case] = &[
    fact("images: one that is here exists and has an id", present),
    fact("images: one that is not here is absent to every question", absent),
    fact("images: labels are none when absent and some when present", labels),
    fact("images: the listing has the suite's image", listed),
    fact("images: a listed image is known by its full id", listed_reference),
    fact("images: a listed image brings its facts along", listed_facts),
    fact("images: a bare handle brings none", bare_facts),
    fact("images: handles are equal when runtime and reference are", equal_handles),
    fact("images: the listing of dangling ones has no named one", dangling),
    fact("images: a container's image is that of its launch", of_container)
        .can(MAKE)
        .can(&[Capability::Images]),
    fact("images: the absent have no image", of_absent),
    fact("images: a history is none when absent and some when present", history)
        .can(&[Capability::Images, Capability::ImageHistory]),
    fact("images: one in use stays, and the answer says why", in_use)
        .can(MAKE)
        .can(&[Capability::Images, Capability::ImageRemove]),
    fact("images: an id with two names stays, and the answer says why", two_names)
        .can(&[Capability::Images, Capability::ImageRemove]),
    fact("images: removing what is not here is removed", remove_absent)
        .can(&[Capability::Images, Capability::ImageRemove]),
];

fn present(context: &TestContext<'_>) -> Verdict {
    let image = context.image();
    ensure!(image.exists(timeout())?, "the suite's image does not exist")?;
    let id = image.id(timeout())?;
    ensure!(id.is_some(), "it has no id")?;
    ensure_eq!(image.inspect(&timeout())?.map(|info| info.id), id, "the id by inspect")
}

fn absent(context: &TestContext<'_>) -> Verdict {
    let image = context.missing_image()?;
    ensure!(!image.exists(timeout())?, "an unknown image exists")?;
    ensure_eq!(image.id(timeout())?, None, "its id")?;
    ensure_eq!(image.inspect(&timeout())?, None, "inspect")
}

fn labels(context: &TestContext<'_>) -> Verdict {
    ensure_eq!(context.missing_image()?.labels(timeout())?, None, "the labels of an unknown image")?;
    let labels = context.image().labels(timeout())?;
    ensure!(labels.is_some(), "the suite's image has no labels, not even none")
}

fn find(context: &TestContext<'_>) -> Result<Arc<dyn Image>, Failure> {
    let id = context.image().id(timeout())?;
    for image in context.runtime().images(&ImageFilter::all(), &timeout())? {
        if image.id(timeout())? == id {
            return Ok(image);
        }
    }
    Err(Failure::new(format!("the listing does not have {id:?}")))
}

fn listed(context: &TestContext<'_>) -> Verdict {
    find(context).map(|_| ())
}

fn listed_reference(context: &TestContext<'_>) -> Verdict {
    let image = find(context)?;
    ensure_eq!(
        Some(image.reference().clone()),
        image.id(timeout())?.map(ImageRef::from),
        "the reference of a listed image"
    )
}

fn listed_facts(context: &TestContext<'_>) -> Verdict {
    let image = find(context)?;
    let facts = (
        image.repository().is_some(),
        image.tag().is_some(),
        image.size().is_some(),
        image.created().is_some(),
    );
    ensure_eq!(facts, (true, true, true, true), "whether repository, tag, size and time are known")?;
    let name = format!("{}:{}", image.repository().unwrap_or_default(), image.tag().unwrap_or_default());
    let wanted = context.fixture().image().as_str();
    ensure!(name == wanted || name == format!("{wanted}:latest"), "it is listed as {name}, made as {wanted}")
}

fn equal_handles(context: &TestContext<'_>) -> Verdict {
    let (one, other) = (ImageRef::new("localhost/rt-nobody:1")?, ImageRef::new("localhost/rt-nobody:2")?);
    let image = |reference| context.runtime().image(reference);
    ensure!(*image(&one) == *image(&one) && *image(&one) != *image(&other), "handles compare otherwise")?;
    let set: HashSet<Arc<dyn Image>> = [&one, &one, &other].map(image).into();
    ensure_eq!(set.len(), 2, "handles of two references in a set")?;
    let text = format!("{:?}", image(&one));
    ensure!(text.contains(one.as_str()) && text.len() < 200, "the debug text is {text}")
}

fn bare_facts(context: &TestContext<'_>) -> Verdict {
    let image = context.image();
    ensure_eq!((image.repository(), image.tag()), (None, None), "repository and tag of a bare handle")?;
    ensure_eq!((image.size(), image.created()), (None, None), "size and time of a bare handle")
}

fn dangling(context: &TestContext<'_>) -> Verdict {
    for image in context.runtime().images(&ImageFilter::dangling(), &timeout())? {
        let name = (image.repository().unwrap_or("<none>"), image.tag().unwrap_or("<none>"));
        ensure_eq!(name, ("<none>", "<none>"), "the name of a dangling image")?;
    }
    Ok(())
}

fn of_container(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    let Some(image) = made.image(&timeout())? else { return Err(Failure::new("the container has no image")) };
    let expected = context.image().id(timeout())?;
    ensure_eq!(image.id(timeout())?, expected, "the id of the container's image")
}

fn of_absent(context: &TestContext<'_>) -> Verdict {
    let image = context.missing_container()?.image(&timeout())?;
    ensure!(image.is_none(), "the image of an absent container is {image:?}")
}

fn history(context: &TestContext<'_>) -> Verdict {
    ensure_eq!(context.missing_image()?.history(&timeout())?, None, "the history of an unknown image")?;
    let history = context.image().history(&timeout())?;
    ensure!(history.is_some(), "the suite's image has no history, not even an empty one")
}

fn in_use(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    let Some(image) = made.image(&timeout())? else { return Err(Failure::new("the container has no image")) };
    let answer = image.remove(&timeout())?;
    ensure!(matches!(&answer, ImageRemoval::Refused(why) if !why.is_empty()), "the answer is {answer:?}")?;
    ensure!(image.exists(timeout())?, "the image in use is gone")
}

fn two_names(context: &TestContext<'_>) -> Verdict {
    let Some(name) = context.fixture().image_with_two_names() else {
        return Err(Failure::skip("the fixture makes no image with two names"));
    };
    let Some(made) = context.runtime().image(&name).inspect(&timeout())? else {
        return Err(Failure::new("the image does not exist"));
    };
    ensure_eq!(made.names.len(), 2, "the number of its names")?;
    let by_id = context.runtime().image(&ImageRef::from(made.id));
    let answer = by_id.remove(&timeout())?;
    ensure!(matches!(&answer, ImageRemoval::Refused(why) if !why.is_empty()), "the answer is {answer:?}")?;
    let left = by_id.inspect(&timeout())?.map(|info| info.names);
    ensure_eq!(left.as_ref(), Some(&made.names), "its names afterwards")?;
    for name in &made.names {
        ensure_eq!(
            context.runtime().image(&ImageRef::new(name)?).remove(&timeout())?,
            ImageRemoval::Removed,
            "by one name"
        )?;
    }
    ensure!(!by_id.exists(timeout())?, "the image without a name exists")
}

fn remove_absent(context: &TestContext<'_>) -> Verdict {
    ensure_eq!(context.missing_image()?.remove(&timeout())?, ImageRemoval::Removed, "the answer")
}
