//! Identity: which handles are equal, and how runtimes are distinguished.

use std::collections::HashSet;
use std::sync::Arc;

use rt_protocol::{Container, ContainerExt, ContainerName, ErrorKind, ExecRequest};

use crate::ensure::ensure_refused;
use crate::required::MAKE;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Identity, run)
}

pub(super) const CASES: &[Case] = &[
    fact("identity: a handle knows its runtime and its name", knows_its_key).core(),
    fact("identity: two handles of one name are equal and hash alike", equal_handles).core(),
    fact("identity: handles of two names differ", unequal_handles).core(),
    fact("identity: the debug text of a handle shows its name", debug_shows_the_name).core(),
    fact("identity: the runtime's id and capabilities do not change", constant_runtime)
        .needs(&[Need::Shell])
        .core(),
    fact("identity: an image handle gives its reference back", image_reference).core(),
    fact("identity: exec by name and by handle answer alike", exec_by_name).needs(&[Need::Shell]).core(),
    fact("identity: the full id is the same from every question", one_id).needs(&[Need::Shell]).core(),
    fact("identity: the beginning of an id is not a name", id_prefix).needs(&[Need::Shell]).core(),
    fact("identity: a name of hexadecimal digits is the container of that name", hex_name).can(MAKE),
];

fn knows_its_key(context: &TestContext<'_>) -> Verdict {
    let name = ContainerName::new(format!("{}-nobody", context.fixture().prefix()))?;
    let handle = context.runtime().container(&name);
    ensure_eq!(handle.key().name, name, "the name of the handle")?;
    ensure_eq!(handle.key().runtime, *context.runtime().id(), "the runtime of the handle")
}

fn equal_handles(context: &TestContext<'_>) -> Verdict {
    let name = ContainerName::new(format!("{}-nobody", context.fixture().prefix()))?;
    let handles: HashSet<Arc<dyn Container>> = (0..3).map(|_| context.runtime().container(&name)).collect();
    ensure_eq!(handles.len(), 1, "handles of one name in a set")
}

fn unequal_handles(context: &TestContext<'_>) -> Verdict {
    let handle = |rest| -> Result<_, Failure> {
        Ok(context
            .runtime()
            .container(&ContainerName::new(format!("{}-{rest}", context.fixture().prefix()))?))
    };
    ensure!(*handle("a")? != *handle("b")?, "handles of two names are equal")
}

fn debug_shows_the_name(context: &TestContext<'_>) -> Verdict {
    let name = ContainerName::new(format!("{}-nobody", context.fixture().prefix()))?;
    let text = format!("{:?}", context.runtime().container(&name));
    ensure!(text.contains(name.as_str()), "the debug text is {text}")?;
    // The text appears often in logs and in lists. It names the container, and nothing from inside
    // the backend.
    ensure!(text.contains(context.runtime().id().as_str()), "the debug text has no runtime: {text}")?;
    ensure!(
        text.len() < name.as_str().len() + context.runtime().id().as_str().len() + 100,
        "the debug text is {text}"
    )
}

fn constant_runtime(context: &TestContext<'_>) -> Verdict {
    let (id, capabilities) = (context.runtime().id().clone(), context.runtime().capabilities());
    context.run(&Script::Exit(0))?.exit_ok()?;
    ensure_eq!(*context.runtime().id(), id, "the id after a command")?;
    ensure_eq!(context.runtime().capabilities(), capabilities, "the capabilities after a command")
}

fn image_reference(context: &TestContext<'_>) -> Verdict {
    let image = context.image();
    ensure_eq!(image.reference(), context.fixture().image(), "the reference of the handle")
}

fn exec_by_name(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let request =
        context.request(&Script::Say { stdout: b"out".to_vec(), stderr: b"err".to_vec(), code: 4 })?;
    let by_handle = standing.exec(&request, &timeout())?;
    let by_name = context.runtime().exec(&standing.key().name, &request, &timeout())?;
    ensure_eq!(by_name, by_handle, "the result by name")
}

fn one_id(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let id = standing.id(timeout())?;
    ensure!(id.is_some(), "a running container has no id")?;
    ensure_eq!(standing.id(timeout())?, id, "the id, asked again")?;
    ensure_eq!(standing.inspect(&timeout())?.map(|info| info.id), id, "the id by inspect")
}

fn id_prefix(context: &TestContext<'_>) -> Verdict {
    let id = context.standing()?.id(timeout())?.map(String::from).unwrap_or_default();
    let Some(beginning) = id.get(..12).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
    else {
        return Err(Failure::skip(format!("ids of this backend are no hexadecimal numbers: {id}")));
    };
    let handle = context.runtime().container(&ContainerName::new(beginning)?);
    let seen = handle.inspect(&timeout())?;
    ensure!(seen.is_none(), "the name {beginning} was taken for an id: {seen:?}")?;
    ensure_refused(
        handle.exec(&ExecRequest::new(Script::Exit(0).argv())?, &timeout()),
        ErrorKind::NoSuchContainer,
    )
}

fn hex_name(context: &TestContext<'_>) -> Verdict {
    // Twelve digits, like the ids that engines show. It is almost certainly not an existing id.
    let name = ContainerName::new(format!("{:012x}", 0xdead_0000_0000_u64 + u64::from(context.token())))?;
    context.remove_afterwards(&name);
    let container = context.created_as(&name, &Script::Stand)?;
    let seen = container.inspect(&timeout())?.map(|info| info.name);
    ensure_eq!(seen, Some(name), "the name by inspect")
}
