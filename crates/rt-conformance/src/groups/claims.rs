//! Claims: `capabilities()` agrees with the results. What is claimed is not answered with
//! "unsupported". What is not claimed is rejected with the name of the missing capability, and
//! changes nothing.

use std::fmt::Debug;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rt_protocol::{
    Argv, BindMount, Capability, CommandStreams, ContainerExt, ContainerFilter, ContainerPath,
    ContainerRuntimeExt, CopyOptions, Error, ErrorKind, EventOptions, ExecRequestBuilder, ExecStdio,
    FileOptions, HealthCheck, ImageFilter, ImageRef, LaunchSpecBuilder, LogOptions, Network, OciRuntime,
    OutputLimit, PortMapping, PullOptions, PullPolicy, RegistryCredentials, RestartPolicy, SecurityOption,
    Signal, TerminalSize, Tmpfs, Volume,
};

use crate::ensure::shown;
use crate::script::word;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn launch(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Claims, run)
}

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Claims, run).core()
}

/// A field of a request, tested on the standing container.
const fn field(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    fact(name, run).needs(&[Need::Shell])
}

pub(super) const CASES: &[Case] = &[
    field("claims: exec-env is served or refused", |context| {
        exec(context, Capability::ExecEnv, |request| request.env("RT_GIVEN", "x"))
    }),
    field("claims: exec-secret-env is served or refused", |context| {
        exec(context, Capability::ExecSecretEnv, |request| request.secret_env("RT_GIVEN", "x"))
    }),
    field("claims: exec-workdir is served or refused", |context| {
        exec(context, Capability::ExecWorkdir, |request| request.workdir("/"))
    }),
    field("claims: exec-user is served or refused", |context| {
        exec(context, Capability::ExecUser, |request| request.user("0"))
    }),
    field("claims: output-limits is served or refused", |context| {
        exec(context, Capability::OutputLimits, |request| request.output_limit(OutputLimit::bytes(9)))
    }),
    field("claims: terminal is served or refused", |context| {
        exec(context, Capability::Terminal, |request| request.terminal(TerminalSize::default()))
    }),
    field("claims: byte-arguments is served or refused", byte_arguments),
    field("claims: exec-stdio is served or refused", |context| {
        let answer = context.standing()?.exec_stdio(
            &context.request(&Script::Exit(0))?,
            ExecStdio::default(),
            &timeout(),
        );
        agrees(context, Capability::ExecStdio, answer)
    }),
    field("claims: spawn is served or refused", |context| {
        let request = context.request(&Script::Exit(0))?;
        let answer = context.standing()?.spawn(&request, &mut CommandStreams::default(), &timeout());
        agrees(context, Capability::Spawn, answer)
    }),
    fact("claims: start is served or refused", |context| {
        agrees(context, Capability::Start, context.missing_container()?.start(&timeout()))
    }),
    fact("claims: stop is served or refused", |context| {
        agrees(context, Capability::Stop, context.missing_container()?.stop(Duration::ZERO, &timeout()))
    }),
    fact("claims: wait is served or refused", |context| {
        agrees(context, Capability::Wait, context.missing_container()?.wait(&timeout()))
    }),
    fact("claims: pause is served or refused", |context| {
        agrees(context, Capability::Pause, context.missing_container()?.pause(&timeout()))?;
        agrees(context, Capability::Pause, context.missing_container()?.unpause(&timeout()))
    }),
    fact("claims: kill is served or refused", |context| {
        agrees(context, Capability::Kill, context.missing_container()?.kill(Signal::TERM, &timeout()))
    }),
    fact("claims: rw-size is served or refused", rw_size),
    fact("claims: stats are served or refused", stats).needs(&[Need::Cgroups]),
    fact("claims: copy-in is served or refused", |context| {
        let dest = ContainerPath::new("/")?;
        let source = Path::new("/rt/no/such/file");
        agrees(
            context,
            Capability::CopyIn,
            context.missing_container()?.copy_in(source, &dest, &CopyOptions::new(), &timeout()),
        )
    }),
    fact("claims: copy-out is served or refused", |context| {
        let source = ContainerPath::new("/")?;
        let dest = context.host_dir()?.join("taken");
        let answer = context.missing_container()?.copy_out(&source, &dest, &CopyOptions::new(), &timeout());
        ensure!(!dest.exists(), "something was copied out of nothing")?;
        agrees(context, Capability::CopyOut, answer)
    }),
    fact("claims: copy-tar is served or refused", copy_tar),
    fact("claims: write-file is served or refused", |context| {
        let (path, options) = (ContainerPath::new("/x")?, FileOptions::new());
        let answer = context.missing_container()?.write_file(&path, b"x", &options, &timeout());
        agrees(context, Capability::WriteFile, answer)
    }),
    fact("claims: atomic-write is served or refused", |context| {
        let (path, options) = (ContainerPath::new("/x")?, FileOptions::new().atomic());
        let answer = context.missing_container()?.write_file(&path, b"x", &options, &timeout());
        agrees(context, Capability::AtomicWrite, answer)
    }),
    fact("claims: read-file is served or refused", |context| {
        let answer = context.missing_container()?.read_file(&ContainerPath::new("/x")?, 9, &timeout());
        agrees(context, Capability::ReadFile, answer)
    }),
    fact("claims: stat-file is served or refused", |context| {
        let answer = context.missing_container()?.stat(&ContainerPath::new("/x")?, &timeout());
        agrees(context, Capability::StatFile, answer)
    }),
    fact("claims: list-dir is served or refused", |context| {
        let answer = context.missing_container()?.list_dir(&ContainerPath::new("/x")?, &timeout());
        agrees(context, Capability::ListDir, answer)
    }),
    fact("claims: remove-path is served or refused", |context| {
        let answer = context.missing_container()?.remove_path(&ContainerPath::new("/x")?, &timeout());
        agrees(context, Capability::RemovePath, answer)
    }),
    fact("claims: login-command is served or refused", login_command),
    fact("claims: logs is served or refused", |context| {
        agrees(context, Capability::Logs, context.missing_container()?.logs(&LogOptions::new(), &timeout()))?;
        let answer =
            context.missing_container()?.stream_initial_logs(&mut |_| true, &mut io::sink(), &timeout());
        agrees(context, Capability::Logs, answer)
    }),
    fact("claims: list is served or refused", list),
    fact("claims: create is served or refused", |context| create(context, Capability::Create, |spec| spec)),
    fact("claims: force-remove is served or refused", force_remove),
    fact("claims: images is served or refused", images),
    fact("claims: image-history is served or refused", |context| {
        agrees(context, Capability::ImageHistory, context.missing_image()?.history(&timeout()))
    }),
    fact("claims: image-remove is served or refused", |context| {
        agrees(context, Capability::ImageRemove, context.missing_image()?.remove(&timeout()))
    }),
    fact("claims: image-pull is served or refused", |context| {
        // Refused before anything is asked, if pulls are served.
        let options = PullOptions::new().credentials(RegistryCredentials::new("rt", "none")?);
        let image = ImageRef::new("rt-no-registry/image:1")?;
        let answer = context.runtime().pull_image(&image, &options, &mut |_| (), &timeout());
        agrees(context, Capability::ImagePull, answer)
    }),
    fact("claims: reserve-port is served or refused", |context| {
        agrees(context, Capability::ReservePort, context.runtime().reserve_port(IpAddr::from([127, 0, 0, 1])))
    }),
    fact("claims: events is served or refused", |context| {
        let options = EventOptions::new().prefix(context.family()?);
        agrees(context, Capability::Events, context.runtime().events(&options, &timeout()))
    }),
    launch("claims: launch-ports is served or refused", |context| {
        create(context, Capability::LaunchPorts, |spec| spec.port(PortMapping::any_port_on_loopback(80)))
    }),
    launch("claims: launch-mounts is served or refused", |context| {
        let mount = BindMount::read_only(std::env::temp_dir(), "/mnt/suite")?;
        create(context, Capability::LaunchMounts, |spec| spec.mount(mount.clone()))
    }),
    launch("claims: launch-limits is served or refused", |context| {
        create(context, Capability::LaunchLimits, |spec| spec.memory(64 << 20).milli_cpus(500))
    }),
    launch("claims: launch-network is served or refused", |context| {
        create(context, Capability::LaunchNetwork, |spec| spec.network(Network::None))
    }),
    launch("claims: launch-gpu is served or refused", |context| {
        create(context, Capability::LaunchGpu, |spec| spec.gpu_args(["--device", "rt.example/gpu=none"]))
    }),
    launch("claims: launch-oci-runtime is served or refused", |context| {
        let runtime = OciRuntime::new("crun")?;
        create(context, Capability::LaunchOciRuntime, |spec| spec.oci_runtime(runtime.clone()))
    }),
    launch("claims: launch-entrypoint is served or refused", |context| {
        create(context, Capability::LaunchEntrypoint, LaunchSpecBuilder::no_entrypoint)
    }),
    launch("claims: launch-read-only-root is served or refused", |context| {
        create(context, Capability::LaunchReadOnlyRoot, |spec| spec.read_only_root(true))
    }),
    launch("claims: launch-tmpfs is served or refused", |context| {
        let tmpfs = Tmpfs::new("/mnt/suite")?;
        create(context, Capability::LaunchTmpfs, |spec| spec.tmpfs(tmpfs))
    }),
    launch("claims: launch-volumes is served or refused", |context| {
        let volume = Volume::anonymous("/mnt/suite")?;
        create(context, Capability::LaunchVolumes, |spec| spec.volume(volume))
    }),
    launch("claims: launch-security is served or refused", |context| {
        create(context, Capability::LaunchSecurity, |spec| spec.cap_drop("ALL"))?;
        let option = SecurityOption::no_new_privileges();
        create(context, Capability::LaunchSecurity, |spec| spec.security_option(option))
    }),
    launch("claims: launch-restart is served or refused", |context| {
        create(context, Capability::LaunchRestart, |spec| spec.restart(RestartPolicy::Always))
    }),
    launch("claims: launch-health-check is served or refused", |context| {
        let check = HealthCheck::new(["sh", "-c", "exit 0"])?;
        create(context, Capability::LaunchHealthCheck, |spec| spec.health_check(check))
    }),
    launch("claims: launch-stop-signal is served or refused", |context| {
        create(context, Capability::LaunchStopSignal, |spec| spec.stop_signal(Signal::INT))
    }),
    launch("claims: launch-extra-args is served or refused", |context| {
        create(context, Capability::LaunchExtraArgs, |spec| spec.extra_args(["--hostname=suite"]))
    }),
];

/// Fails unless the result fits the claim. Another error than "unsupported" is fine: the requests
/// ask for things that do not exist.
fn agrees<T: Debug>(context: &TestContext<'_>, capability: Capability, answer: Result<T, Error>) -> Verdict {
    let claimed = context.can(capability);
    match answer {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let unclaimed = error.missing().difference(context.runtime().capabilities());
            // A request that needs a second capability (a history needs images) may be rejected
            // because of that one.
            ensure!(
                !unclaimed.is_empty(),
                "{capability} is claimed, as all that is missing, and the answer is {error}"
            )?;
            ensure!(
                claimed || error.missing().contains(capability),
                "{capability} is not among what is missing: {error}"
            )?;
            ensure!(error.never_started(), "a refusal may have started something: {error:?}")
        }
        _ if claimed => Ok(()),
        other => {
            Err(Failure::new(format!("{capability} is not claimed, and the answer is {}", shown(&other))))
        }
    }
}

fn exec(
    context: &TestContext<'_>,
    capability: Capability,
    with: impl FnOnce(ExecRequestBuilder) -> ExecRequestBuilder,
) -> Verdict {
    let request = with(context.builder(&Script::Exit(0))).build()?;
    ensure!(request.required_capabilities().contains(capability), "the probe does not demand {capability}")?;
    agrees(context, capability, context.standing()?.exec(&request, &timeout()))
}

fn byte_arguments(context: &TestContext<'_>) -> Verdict {
    let request = context.request(&Script::Words(vec![word(b"\xff".to_vec())]))?;
    agrees(context, Capability::ByteArguments, context.standing()?.exec(&request, &timeout()))
}

fn rw_size(context: &TestContext<'_>) -> Verdict {
    agrees(context, Capability::RwSize, context.missing_container()?.rw_size(&timeout()))?;
    agrees(context, Capability::RwSize, context.runtime().rw_sizes(&context.family()?, &timeout()))
}

fn stats(context: &TestContext<'_>) -> Verdict {
    agrees(context, Capability::Stats, context.missing_container()?.stats(&timeout()))
}

fn copy_tar(context: &TestContext<'_>) -> Verdict {
    let place = ContainerPath::new("/")?;
    agrees(
        context,
        Capability::CopyTar,
        context.missing_container()?.copy_in_tar(&mut io::empty(), &place, &timeout()),
    )?;
    agrees(
        context,
        Capability::CopyTar,
        context.missing_container()?.copy_out_tar(&place, &mut io::sink(), &timeout()),
    )
}

/// In a running container: a backend may have to look at a guest before it knows how to enter it.
fn login_command(context: &TestContext<'_>) -> Verdict {
    if !context.can(Capability::LoginCommand) {
        return agrees(
            context,
            Capability::LoginCommand,
            context.missing_container()?.login_command(None, &timeout()),
        );
    }
    let container = context.standing()?;
    let given = container.login_command(Some(&Argv::new(["rt-shell", "-x"])?), &timeout())?;
    ensure!(!given.is_empty() && !given[0].is_empty(), "the argv of a session is {given:?}")?;
    ensure!(
        given.iter().any(|word| word.to_string_lossy().contains("rt-shell")),
        "the command is not in {given:?}"
    )?;
    ensure!(!container.login_command(None, &timeout())?.is_empty(), "the argv of a default session is empty")
}

fn list(context: &TestContext<'_>) -> Verdict {
    let family = context.family()?;
    agrees(
        context,
        Capability::List,
        context.runtime().list(&ContainerFilter::prefix(family.clone()), &timeout()),
    )?;
    agrees(context, Capability::List, context.runtime().containers_with_prefix(&family, timeout()))?;
    agrees(context, Capability::List, context.runtime().states(&family, timeout()))
}

fn force_remove(context: &TestContext<'_>) -> Verdict {
    let nobody = context.unused_name()?;
    let results = context.runtime().force_remove(std::slice::from_ref(&nobody), &timeout());
    let [result] = &results[..] else {
        return Err(Failure::new(format!("one name has the results {results:?}")));
    };
    let answer = result.error.clone().map_or(Ok(()), Err);
    agrees(context, Capability::ForceRemove, answer)?;
    agrees(context, Capability::ForceRemove, context.missing_container()?.remove(&timeout()))
}

fn images(context: &TestContext<'_>) -> Verdict {
    agrees(context, Capability::Images, context.runtime().images(&ImageFilter::dangling(), &timeout()))?;
    agrees(context, Capability::Images, context.missing_image()?.inspect(&timeout()))?;
    agrees(context, Capability::Images, context.missing_container()?.image(&timeout()))
}

/// A claimed capability is tested with an image that does not exist, so that nothing is created.
/// The others are tested with the suite's own image, so that something could be created.
fn create(
    context: &TestContext<'_>,
    capability: Capability,
    with: impl FnOnce(LaunchSpecBuilder) -> LaunchSpecBuilder,
) -> Verdict {
    let name = context.name()?;
    let image = if context.can(capability) {
        context.missing_image()?.reference().clone()
    } else {
        context.fixture().image().clone()
    };
    let builder = rt_protocol::LaunchSpec::builder(name.as_str(), image.as_str()).pull(PullPolicy::Never);
    let spec = with(builder).build()?;
    ensure!(spec.required_capabilities().contains(capability), "the probe does not demand {capability}")?;
    let answer = context.runtime().create(&spec, &timeout());
    // A backend that creates nothing at all reports that first.
    let capability = if context.can(Capability::Create) { capability } else { Capability::Create };
    agrees(context, capability, answer)?;
    ensure_eq!(context.runtime().container(&name).state(timeout())?, None, "the state of what was not made")
}
