//! Launch: the settings of a new container, and what is left of one that could not be started.

use std::net::IpAddr;

use rt_protocol::{
    BindMount, Capability, ContainerExt, ContainerRuntimeExt, ContainerState, ErrorKind, ImageExt, MountInfo,
    Network, PortMapping, PullPolicy, Secret,
};

use crate::ensure::refused;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Launch, run)
}

const MAKE: &[Capability] = &[Capability::Create, Capability::ForceRemove];
const RUN: &[Capability] = &[Capability::Create, Capability::ForceRemove, Capability::Start];

/// A command that exists in no guest.
const NO_SUCH_COMMAND: &str = "rt-no-such-command";

pub(super) const CASES: &[Case] = &[
    fact("launch: makes and starts", launches).can(RUN),
    fact("launch: labels are read back", labels).can(MAKE),
    fact("launch: the image is read back by id and by name", image).can(&[
        Capability::Create,
        Capability::ForceRemove,
        Capability::Images,
    ]),
    fact("launch: commands see its environment", env)
        .can(&[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::ExecEnv])
        .needs(&[Need::Shell]),
    fact("launch: commands see its secret environment, and nobody else does", secret_env)
        .can(&[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::ExecSecretEnv])
        .needs(&[Need::Shell]),
    fact("launch: commands start in its workdir", workdir)
        .can(&[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::ExecWorkdir])
        .needs(&[Need::Shell, Need::LaunchSettings]),
    fact("launch: commands run as its user", user)
        .can(&[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::ExecUser])
        .needs(&[Need::Shell, Need::LaunchSettings]),
    fact("launch: mounts are read back", mounts).can(&[
        Capability::Create,
        Capability::ForceRemove,
        Capability::LaunchMounts,
    ]),
    fact("launch: a mount shows the host's files and takes new ones", mount_files)
        .can(&[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::LaunchMounts])
        .needs(&[Need::Shell, Need::Files]),
    fact("launch: a read-only mount cannot be written to", read_only_mount)
        .can(&[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::LaunchMounts])
        .needs(&[Need::Shell, Need::Files]),
    fact("launch: a port that the engine picks is read back", picked_port).can(&[
        Capability::Create,
        Capability::ForceRemove,
        Capability::Start,
        Capability::LaunchPorts,
    ]),
    fact("launch: a port that the caller picks is the one", given_port).can(&[
        Capability::Create,
        Capability::ForceRemove,
        Capability::Start,
        Capability::LaunchPorts,
        Capability::ReservePort,
    ]),
    fact("launch: without a network it still runs commands", no_network)
        .can(&[Capability::Create, Capability::ForceRemove, Capability::Start, Capability::LaunchNetwork])
        .needs(&[Need::Offline, Need::Shell]),
    fact("launch: a name that is taken is refused, and its owner stays", taken_name).can(RUN),
    fact("launch: an image that is not here is refused, and nothing is made", no_image).can(MAKE),
    fact("launch: a failed start is an error of the start", failed_start)
        .can(RUN)
        .needs(&[Need::LaunchFailures]),
    fact("launch: what a launch made it removes when the start fails", failed_launch)
        .can(RUN)
        .needs(&[Need::LaunchFailures]),
];

fn launches(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let spec = context.launch_spec(&name).command(Script::Stand.argv()).build()?;
    context.fixture().before_start(&spec);
    let container = context.runtime().launch(&spec, timeout())?;
    ensure!(container.running(timeout())?, "it does not run after launch");
    ensure_eq!(container.key().name, name, "the name");
    Ok(())
}

fn labels(context: &TestContext<'_>) -> Verdict {
    let pairs = [("rt.suite", "1"), ("empty", ""), ("odd", "a=b, \"c\" d\u{e4}")];
    let builder = pairs
        .iter()
        .fold(context.launch_spec(&context.name()?), |builder, (key, value)| builder.label(*key, *value));
    let labels =
        context.create_from(builder)?.inspect(&timeout())?.map(|info| info.labels).unwrap_or_default();
    for (key, value) in pairs {
        ensure_eq!(labels.get(key).map(String::as_str), Some(value), &format!("the label {key}"));
    }
    Ok(())
}

fn image(context: &TestContext<'_>) -> Verdict {
    let made = context.created(&Script::Stand)?;
    let Some(info) = made.inspect(&timeout())? else { return Err(Failure::new("it is gone")) };
    let expected = context.runtime().image(context.fixture().image()).id(timeout())?;
    ensure!(expected.is_some(), "the suite's image has no id");
    ensure_eq!(info.image_id, expected, "the id of its image");
    ensure_eq!(info.image_name.as_deref(), Some(context.fixture().image().as_str()), "the name of its image");
    let handle = made.image(&timeout())?;
    ensure_eq!(
        handle.map(|image| image.id(timeout())).transpose()?.flatten(),
        expected,
        "the id by its image handle"
    );
    Ok(())
}

fn env(context: &TestContext<'_>) -> Verdict {
    let container =
        context.started_from(context.launch_spec(&context.name()?).env("RT_GIVEN", "a b\n$HOME"))?;
    let seen = TestContext::text_in(container.as_ref(), &Script::Variable("RT_GIVEN".into()))?;
    ensure_eq!(seen, "a b\n$HOME", "the variable of the launch");
    Ok(())
}

fn secret_env(context: &TestContext<'_>) -> Verdict {
    let secret = format!("hidden-{}", context.token());
    let builder = context.launch_spec(&context.name()?).secret_env("RT_SECRET", Secret::new(secret.clone()));
    let container = context.started_from(builder)?;
    let seen = TestContext::text_in(container.as_ref(), &Script::Variable("RT_SECRET".into()))?;
    ensure_eq!(seen, secret, "the secret of the launch");
    let info = format!("{:?} {container:?}", container.inspect(&timeout())?);
    ensure!(!info.contains(&secret), "what is known of the container shows the secret");
    Ok(())
}

fn workdir(context: &TestContext<'_>) -> Verdict {
    let container =
        context.started_from(context.launch_spec(&context.name()?).workdir(context.fixture().scratch()))?;
    let seen = TestContext::text_in(container.as_ref(), &Script::Workdir)?;
    ensure_eq!(seen, context.fixture().scratch(), "the workdir of a command");
    Ok(())
}

fn user(context: &TestContext<'_>) -> Verdict {
    let container = context.started_from(context.launch_spec(&context.name()?).user("1234:4321"))?;
    let seen = TestContext::text_in(container.as_ref(), &Script::User)?;
    ensure_eq!(seen, "1234:4321", "the user of a command");
    Ok(())
}

fn mounts(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?;
    let made = context.create_from(
        context.launch_spec(&context.name()?).mount(BindMount::writable(&source, "/mnt/suite")?),
    )?;
    let mounts = made.mounts(timeout())?.unwrap_or_default();
    let expected = MountInfo::new(Some(source), "/mnt/suite");
    ensure!(mounts.contains(&expected), "the mounts are {mounts:?}, without {expected:?}");
    Ok(())
}

fn mount_files(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?;
    std::fs::write(source.join("given"), "from the host")?;
    let container = context.started_from(
        context.launch_spec(&context.name()?).mount(BindMount::writable(&source, "/mnt/suite")?),
    )?;
    let seen = TestContext::text_in(container.as_ref(), &Script::ReadFile("/mnt/suite/given".into()))?;
    ensure_eq!(seen, "from the host", "the mounted file");
    let write = Script::WriteFile { path: "/mnt/suite/taken".into(), bytes: b"from the guest".to_vec() };
    TestContext::text_in(container.as_ref(), &write)?;
    ensure_eq!(std::fs::read(source.join("taken"))?, b"from the guest", "the file that a command wrote");
    Ok(())
}

fn read_only_mount(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?;
    let container = context.started_from(
        context.launch_spec(&context.name()?).mount(BindMount::read_only(&source, "/mnt/suite")?),
    )?;
    let write = Script::WriteFile { path: "/mnt/suite/taken".into(), bytes: b"no".to_vec() };
    let result = TestContext::run_in(container.as_ref(), &write)?;
    ensure!(!result.success(), "writing to a read-only mount ended with 0");
    ensure!(!source.join("taken").exists(), "the file is on the host");
    Ok(())
}

fn picked_port(context: &TestContext<'_>) -> Verdict {
    let container = context
        .started_from(context.launch_spec(&context.name()?).port(PortMapping::any_port_on_loopback(2222)))?;
    let ports = container.ports(timeout())?.unwrap_or_default();
    let found = ports.iter().find(|port| port.container_port == 2222);
    let loopback = IpAddr::from([127, 0, 0, 1]);
    ensure!(
        found.is_some_and(|port| port.host_port != 0 && port.host_ip == Some(loopback)),
        "the ports are {ports:?}"
    );
    Ok(())
}

fn given_port(context: &TestContext<'_>) -> Verdict {
    let mut reservation = context.runtime().reserve_port(IpAddr::from([127, 0, 0, 1]))?;
    let port = reservation.port();
    reservation.close()?;
    let container = context
        .started_from(context.launch_spec(&context.name()?).port(PortMapping::on_loopback(port, 80)))?;
    let ports = container.ports(timeout())?.unwrap_or_default();
    let found = ports.iter().any(|known| (known.container_port, known.host_port) == (80, port));
    ensure!(found, "the ports are {ports:?}, without {port} -> 80");
    Ok(())
}

fn no_network(context: &TestContext<'_>) -> Verdict {
    let container = context.started_from(context.launch_spec(&context.name()?).network(Network::None))?;
    TestContext::text_in(container.as_ref(), &Script::Exit(0))?;
    Ok(())
}

fn taken_name(context: &TestContext<'_>) -> Verdict {
    let owner = context.started(&Script::Stand)?;
    let id = owner.id(timeout())?;
    let spec = context.launch_spec(&owner.key().name).build()?;
    refused(context.runtime().create(&spec, &timeout()), ErrorKind::NameInUse)?;
    ensure_eq!(owner.id(timeout())?, id, "the id of the owner afterwards");
    ensure!(owner.running(timeout())?, "the owner does not run afterwards");
    Ok(())
}

fn no_image(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let image = "localhost/rt-no-such-image:none";
    let spec = rt_protocol::LaunchSpec::builder(name.as_str(), image).pull(PullPolicy::Never).build()?;
    refused(context.runtime().create(&spec, &timeout()), ErrorKind::NoSuchImage)?;
    ensure_eq!(context.runtime().container(&name).state(timeout())?, None, "the state afterwards");
    Ok(())
}

fn failed_start(context: &TestContext<'_>) -> Verdict {
    let container = context.create_from(context.launch_spec(&context.name()?).command([NO_SUCH_COMMAND]))?;
    refused(container.start(&timeout()), ErrorKind::CommandNotFound)?;
    let state = container.state(timeout())?;
    // Some engines call it created, some exited. It exists, and it does not run.
    ensure!(
        state.as_ref().is_some_and(|state| !state.is_running()),
        "the state after a failed start is {state:?}"
    );
    Ok(())
}

fn failed_launch(context: &TestContext<'_>) -> Verdict {
    let name = context.name()?;
    let spec = context.launch_spec(&name).command([NO_SUCH_COMMAND]).build()?;
    context.fixture().before_start(&spec);
    refused(context.runtime().launch(&spec, timeout()), ErrorKind::CommandNotFound)?;
    ensure_eq!(
        context.runtime().container(&name).state(timeout())?,
        None::<ContainerState>,
        "the state afterwards"
    );
    Ok(())
}
