//! Wrappers: what a handle inherits from the one that it wraps. Running commands is not inherited.

use std::io;
use std::sync::Arc;

use rt_protocol::{
    Capabilities, Capability, CommandStreams, Container, ContainerExt, ContainerFilter, ContainerInfo,
    ContainerKey, ContainerName, ContainerRuntime, ContainerRuntimeExt, ContainerState, Error, ErrorKind,
    ExecRequest, ExecResult, ExecStdio, ImageExt, ImageFilter, LogOptions, ReadyWhen, Result, RuntimeId,
    Signal, Until,
};

use crate::ensure::{all_removed, expect_error_of};
use crate::timeout::timeout;
use crate::{Case, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Wrappers, run)
}

pub(super) const CASES: &[Case] = &[
    fact("wrappers: no handle leads around one that refuses commands", handles).core(),
    fact("wrappers: no handle that is found leads around it", found).can(&[Capability::List]),
    fact("wrappers: no handle that is made leads around it", made)
        .can(&[Capability::Create, Capability::Start]),
    fact("wrappers: what is no command is asked of the inner handle", inherited).can(&[
        Capability::Create,
        Capability::Start,
        Capability::Stop,
    ]),
];

/// A runtime that refuses every command, and adds nothing else.
#[derive(Debug)]
struct RefusingRuntime<'a>(&'a dyn ContainerRuntime);

impl ContainerRuntime for RefusingRuntime<'_> {
    fn id(&self) -> &RuntimeId {
        self.0.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().without_commands()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        Arc::new(RefusingContainer(self.0.container(name)))
    }

    fn inner(&self) -> Option<&dyn ContainerRuntime> {
        Some(self.0)
    }
}

/// A container that refuses every command.
#[derive(Debug)]
struct RefusingContainer(Arc<dyn Container>);

impl Container for RefusingContainer {
    fn key(&self) -> &ContainerKey {
        self.0.key()
    }

    fn inner(&self) -> Option<&dyn Container> {
        Some(&*self.0)
    }

    fn exec(&self, _: &ExecRequest, _: &Until) -> Result<ExecResult> {
        Err(Error::new(ErrorKind::InvalidRequest, "exec in", "commands are refused"))
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        self.0.inspect(until)
    }
}

/// The error of a refused command.
const REFUSED: &[ErrorKind] = &[ErrorKind::InvalidRequest, ErrorKind::Unsupported];

/// Tries every way to run a command on a running container.
fn try_commands(context: &TestContext<'_>, container: &dyn Container) -> Verdict {
    for when in [ReadyWhen::new().exec(context.request(&Script::Exit(0))?), ReadyWhen::new().reachable()] {
        expect_error_of(when.wait(container, timeout()), REFUSED)?;
    }
    try_methods(context, container)
}

fn try_methods(context: &TestContext<'_>, container: &dyn Container) -> Verdict {
    let (request, until) = (context.request(&Script::Exit(0))?, timeout());
    expect_error_of(container.exec(&request, &until), REFUSED)?;
    expect_error_of(container.exec_stdio(&request, ExecStdio::default(), &until), REFUSED)?;
    expect_error_of(container.spawn(&request, &mut CommandStreams::default(), &until), REFUSED)?;
    expect_error_of(container.login_command(None, &until), REFUSED)?;
    ensure!(container.as_any().is::<()>(), "it gives a concrete handle away")
}

fn handles(context: &TestContext<'_>) -> Verdict {
    let standing = context.standing()?;
    let name = &standing.key().name;
    let runtime = RefusingRuntime(context.runtime());
    try_commands(context, &*runtime.container(name))?;
    // A pointer behaves like its target.
    try_commands(context, &runtime.container(name))?;
    try_commands(context, &Box::new(RefusingContainer(Arc::clone(&standing))))?;
    try_commands(context, &&RefusingContainer(standing.clone()))?;
    for runtime in [&runtime as &dyn ContainerRuntime, &&runtime, &Box::new(RefusingRuntime(&runtime))] {
        let (request, until) = (context.request(&Script::Exit(0))?, timeout());
        expect_error_of(runtime.exec(name, &request, &until), REFUSED)?;
        expect_error_of(runtime.exec_stdio(name, &request, ExecStdio::default(), &until), REFUSED)?;
        expect_error_of(runtime.exec_in(name.as_str(), Script::Exit(0).argv(), &until), REFUSED)?;
        expect_error_of(runtime.wait_until_ready(name, &ReadyWhen::new().reachable(), &until), REFUSED)?;
        let ways =
            [Capability::ExecStdio, Capability::Spawn, Capability::SendSignal, Capability::LoginCommand];
        for way in ways {
            ensure!(!runtime.capabilities().contains(way), "it claims {way}, which it does not serve")?;
        }
    }
    Ok(())
}

fn found(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    let name = context.member(&family, "a")?;
    if context.can(Capability::Create) {
        context.created_as(&name, &Script::Stand)?;
    }
    for container in RefusingRuntime(context.runtime()).containers_with_prefix(&family, timeout())? {
        try_methods(context, &*container)?;
    }
    Ok(())
}

fn made(context: &TestContext<'_>) -> Verdict {
    let runtime = RefusingRuntime(context.runtime());
    let spec = context.launch_spec(&context.name()?).command(Script::Stand.argv()).build()?;
    context.fixture().before_start(&spec);
    try_methods(context, &*runtime.create(&spec, &timeout())?)?;
    let spec = context.launch_spec(&context.name()?).command(Script::Stand.argv()).build()?;
    context.fixture().before_start(&spec);
    let launched = (&&runtime).launch(&spec, timeout())?;
    context.fixture().after_start(spec.name());
    try_commands(context, &*launched)
}

fn inherited(context: &TestContext<'_>) -> Verdict {
    let inner = context.created(&Script::Stand)?;
    let name = inner.key().name.clone();
    let runtime = RefusingRuntime(context.runtime());
    let wrapper: Arc<dyn Container> = Arc::new(runtime.container(&name));
    ensure_eq!(wrapper.inspect(&timeout())?, inner.inspect(&timeout())?, "inspect")?;
    context.start(wrapper.as_ref())?;
    ensure!(inner.running(timeout())?, "the start did not reach it")?;
    if context.can(Capability::RwSize) {
        ensure!(wrapper.rw_size(&timeout())?.is_some(), "it has no size")?;
    }
    if context.can(Capability::Images) {
        let image = wrapper.image(&timeout())?.map(|image| image.id(timeout())).transpose()?;
        let expected = runtime.image(context.fixture().image()).id(timeout())?;
        ensure_eq!(image.flatten(), expected, "the id of its image")?;
        ensure_eq!(
            runtime.images(&ImageFilter::all(), &timeout())?.len(),
            context.runtime().images(&ImageFilter::all(), &timeout())?.len(),
            "the number of images"
        )?;
    }
    if context.can(Capability::List) {
        let listed = runtime.list(&ContainerFilter::all(), &timeout())?;
        ensure!(listed.iter().any(|info| info.name == name), "it is not listed")?;
    }
    if context.can(Capability::Kill) {
        wrapper.kill(Signal::CONT, &timeout())?;
    }
    if context.can(Capability::Pause) && context.has(Need::Cgroups) {
        wrapper.pause(&timeout())?;
        ensure_eq!(inner.state(timeout())?, Some(ContainerState::Paused), "the state after the pause")?;
        wrapper.unpause(&timeout())?;
        ensure!(inner.running(timeout())?, "the unpause did not reach it")?;
    }
    wrapper.stop(std::time::Duration::ZERO, &timeout())?;
    ensure!(!inner.running(timeout())?, "the stop did not reach it")?;
    if context.can(Capability::Wait) {
        ensure_eq!(wrapper.wait(&timeout())?, inner.wait(&timeout())?, "how it ended")?;
    }
    if context.can(Capability::Logs) {
        let log = |container: &dyn Container| -> Result<Vec<_>> {
            container.logs(&LogOptions::new(), &timeout())?.iter(timeout()).collect()
        };
        ensure_eq!(log(wrapper.as_ref())?, log(inner.as_ref())?, "its log")?;
        let _ = wrapper.stream_initial_logs(&mut |_| true, &mut io::sink(), &timeout())?;
    }
    if context.can(Capability::ForceRemove) {
        wrapper.remove(&timeout())?;
        all_removed(runtime.force_remove(std::slice::from_ref(&name), &timeout()))?;
        ensure_eq!(inner.state(timeout())?, None, "the state after the removal")?;
    }
    Ok(())
}
