//! Launch: the settings of a new container, and what is left of one that could not be started.

use std::net::IpAddr;

use rt_protocol::{
    BindMount, Capability, ContainerExt, ContainerRuntimeExt, ContainerState, ErrorKind, ImageExt, MountInfo,
    Network, PortMapping, PullPolicy, Secret,
};

use crate::ensure::ensure_refused;
use crate::required::{MAKE, RUN};
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

/// A fact about a container that is created.
const fn created(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Launch, run).can(MAKE)
}

/// A fact about a container that is started too.
const fn started(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    created(name, run).can(RUN)
}

/// A command that exists in no guest.
const NO_SUCH_COMMAND: &str = "rt-no-such-command";

pub(super) const CASES: &[Case] = &[
    started("launch: makes and starts", launches),
    created("launch: labels are read back", labels),
    created("launch: the image is read back by id and by name", image).can(&[Capability::Images]),
    started("launch: commands see its environment", env).can(&[Capability::ExecEnv]).needs(&[Need::Shell]),
    started("launch: commands see its secret environment, and nobody else does", secret_env)
        .can(&[Capability::ExecSecretEnv])
        .needs(&[Need::Shell]),
    started("launch: commands start in its workdir", workdir)
        .can(&[Capability::ExecWorkdir])
        .needs(&[Need::Shell, Need::LaunchSettings]),
    started("launch: commands run as its user", user)
        .can(&[Capability::ExecUser])
        .needs(&[Need::Shell, Need::LaunchSettings]),
    created("launch: mounts are read back", mounts).can(&[Capability::LaunchMounts]),
    started("launch: a mount shows the host's files and takes new ones", mount_files)
        .can(&[Capability::LaunchMounts])
        .needs(&[Need::Shell, Need::Files]),
    started("launch: a read-only mount cannot be written to", read_only_mount)
        .can(&[Capability::LaunchMounts])
        .needs(&[Need::Shell, Need::Files]),
    started("launch: a port that the engine picks is read back", picked_port).can(&[Capability::LaunchPorts]),
    started("launch: a port that the caller picks is the one", given_port)
        .can(&[Capability::LaunchPorts, Capability::ReservePort]),
    started("launch: without a network it still runs commands", no_network)
        .can(&[Capability::LaunchNetwork])
        .needs(&[Need::Offline, Need::Shell]),
    started("launch: a name that is taken is refused, and its owner stays", taken_name),
    created("launch: an image that is not here is refused, and nothing is made", no_image),
    started("launch: a failed start is an error of the start", failed_start).needs(&[Need::LaunchFailures]),
    started("launch: what a launch made it removes when the start fails", failed_launch)
        .needs(&[Need::LaunchFailures]),
];

fn launches(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let spec = context.launch_spec(&name).command(Script::Stand.argv()).build()?;
    context.fixture().before_start(&spec);
    let container = context.runtime().launch(&spec, timeout())?;
    ensure!(container.running(timeout())?, "it does not run after launch")?;
    ensure_eq!(container.key().name, name, "the name")
}

fn labels(context: &TestContext<'_>) -> Verdict {
    let pairs = [("rt.suite", "1"), ("empty", ""), ("odd", "a=b, \"c\" d\u{e4}")];
    let builder = pairs
        .iter()
        .fold(context.launch_spec(&context.name()?), |builder, (key, value)| builder.label(*key, *value));
    let labels =
        context.create_from(builder)?.inspect(&timeout())?.map(|info| info.labels).unwrap_or_default();
    for (key, value) in pairs {
        ensure_eq!(labels.get(key).map(String::as_str), Some(value), &format!("the label {key}"))?;
    }
    Ok(())
}

fn image(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    let Some(info) = made.inspect(&timeout())? else { return Err(Failure::new("it is gone")) };
    let expected = context.image().id(timeout())?;
    ensure!(expected.is_some(), "the suite's image has no id")?;
    ensure_eq!(info.image_id, expected, "the id of its image")?;
    ensure_eq!(
        info.image_name.as_deref(),
        Some(context.fixture().image().as_str()),
        "the name of its image"
    )?;
    let handle = made.image(&timeout())?;
    ensure_eq!(
        handle.map(|image| image.id(timeout())).transpose()?.flatten(),
        expected,
        "the id by its image handle"
    )
}

fn env(context: &TestContext<'_>) -> Verdict {
    let container = context.started_with(|spec| spec.env("RT_GIVEN", "a b\n$HOME"))?;
    let seen = TestContext::text_in(container.as_ref(), &Script::Variable("RT_GIVEN".into()))?;
    ensure_eq!(seen, "a b\n$HOME", "the variable of the launch")
}

fn secret_env(context: &TestContext<'_>) -> Verdict {
    let secret = format!("hidden-{}", context.token());
    let builder = context.launch_spec(&context.name()?).secret_env("RT_SECRET", Secret::new(secret.clone()));
    let container = context.started_from(builder)?;
    let seen = TestContext::text_in(container.as_ref(), &Script::Variable("RT_SECRET".into()))?;
    ensure_eq!(seen, secret, "the secret of the launch")?;
    let info = format!("{:?} {container:?}", container.inspect(&timeout())?);
    ensure!(!info.contains(&secret), "what is known of the container shows the secret")
}

fn workdir(context: &TestContext<'_>) -> Verdict {
    let container = context.started_with(|spec| spec.workdir(context.fixture().scratch()))?;
    let seen = TestContext::text_in(container.as_ref(), &Script::Workdir)?;
    ensure_eq!(seen, context.fixture().scratch(), "the workdir of a command")
}

fn user(context: &TestContext<'_>) -> Verdict {
    let container = context.started_with(|spec| spec.user("1234:4321"))?;
    let seen = TestContext::text_in(container.as_ref(), &Script::User)?;
    ensure_eq!(seen, "1234:4321", "the user of a command")
}

fn mounts(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?;
    let made = context.create_from(
        context.launch_spec(&context.name()?).mount(BindMount::writable(&source, "/mnt/suite")?),
    )?;
    let mounts = made.mounts(timeout())?.unwrap_or_default();
    let expected = MountInfo::new(Some(source), "/mnt/suite");
    ensure!(mounts.contains(&expected), "the mounts are {mounts:?}, without {expected:?}")
}

fn mount_files(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?;
    std::fs::write(source.join("given"), "from the host")?;
    let mount = BindMount::writable(&source, "/mnt/suite")?;
    let container = context.started_with(|spec| spec.mount(mount))?;
    let seen = TestContext::text_in(container.as_ref(), &Script::ReadFile("/mnt/suite/given".into()))?;
    ensure_eq!(seen, "from the host", "the mounted file")?;
    let write = Script::WriteFile { path: "/mnt/suite/taken".into(), bytes: b"from the guest".to_vec() };
    TestContext::text_in(container.as_ref(), &write)?;
    ensure_eq!(std::fs::read(source.join("taken"))?, b"from the guest", "the file that a command wrote")
}

fn read_only_mount(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?;
    let mount = BindMount::read_only(&source, "/mnt/suite")?;
    let container = context.started_with(|spec| spec.mount(mount))?;
    let write = Script::WriteFile { path: "/mnt/suite/taken".into(), bytes: b"no".to_vec() };
    let result = TestContext::run_in(container.as_ref(), &write)?;
    ensure!(!result.success(), "writing to a read-only mount ended with 0")?;
    ensure!(!source.join("taken").exists(), "the file is on the host")
}

fn picked_port(context: &TestContext<'_>) -> Verdict {
    let container = context.started_with(|spec| spec.port(PortMapping::any_port_on_loopback(2222)))?;
    let ports = container.ports(timeout())?.unwrap_or_default();
    let found = ports.iter().find(|port| port.container_port == 2222);
    let loopback = IpAddr::from([127, 0, 0, 1]);
    ensure!(
        found.is_some_and(|port| port.host_port != 0 && port.host_ip == Some(loopback)),
        "the ports are {ports:?}"
    )
}

fn given_port(context: &TestContext<'_>) -> Verdict {
    let mut reservation = context.runtime().reserve_port(IpAddr::from([127, 0, 0, 1]))?;
    let port = reservation.port();
    reservation.close()?;
    let container = context.started_with(|spec| spec.port(PortMapping::on_loopback(port, 80)))?;
    let ports = container.ports(timeout())?.unwrap_or_default();
    let found = ports.iter().any(|known| (known.container_port, known.host_port) == (80, port));
    ensure!(found, "the ports are {ports:?}, without {port} -> 80")
}

fn no_network(context: &TestContext<'_>) -> Verdict {
    let container = context.started_with(|spec| spec.network(Network::None))?;
    TestContext::text_in(container.as_ref(), &Script::Exit(0))?;
    Ok(())
}

fn taken_name(context: &TestContext<'_>) -> Verdict {
    let owner = context.started(&Script::Stand)?;
    let id = owner.id(timeout())?;
    let spec = context.launch_spec(&owner.key().name).build()?;
    ensure_refused(context.runtime().create(&spec, &timeout()), ErrorKind::NameInUse)?;
    ensure_eq!(owner.id(timeout())?, id, "the id of the owner afterwards")?;
    ensure!(owner.running(timeout())?, "the owner does not run afterwards")
}

fn no_image(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let image = "localhost/rt-no-such-image:none";
    let spec = rt_protocol::LaunchSpec::builder(name.as_str(), image).pull(PullPolicy::Never).build()?;
    ensure_refused(context.runtime().create(&spec, &timeout()), ErrorKind::NoSuchImage)?;
    ensure_eq!(context.runtime().container(&name).state(timeout())?, None, "the state afterwards")
}

fn failed_start(context: &TestContext<'_>) -> Verdict {
    let container = context.create_from(context.launch_spec(&context.name()?).command([NO_SUCH_COMMAND]))?;
    ensure_refused(container.start(&timeout()), ErrorKind::CommandNotFound)?;
    let state = container.state(timeout())?;
    // Some engines call it created, some exited. It exists, and it does not run.
    ensure!(
        state.as_ref().is_some_and(|state| !state.is_running()),
        "the state after a failed start is {state:?}"
    )
}

fn failed_launch(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let spec = context.launch_spec(&name).command([NO_SUCH_COMMAND]).build()?;
    context.fixture().before_start(&spec);
    ensure_refused(context.runtime().launch(&spec, timeout()), ErrorKind::CommandNotFound)?;
    ensure_eq!(
        context.runtime().container(&name).state(timeout())?,
        None::<ContainerState>,
        "the state afterwards"
    )
}
