//! Claims: `capabilities()` and the answers agree. What is claimed is not answered with "unsupported"; what is not
//! claimed is, names what is missing, and changes nothing.

use std::fmt::Debug;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rt_protocol::{
    Argv, Capability, ContainerFilter, ContainerPath, CopyOptions, Error, ErrorKind, EventOptions,
    ExecRequestBuilder, ExecStdio, ImageFilter, ImageRef, LaunchSpecBuilder, LogOptions, Mount, Network,
    OciRuntime, OutputLimit, PortPublish, PullPolicy,
};

use crate::case::{Case, Group, Need};
use crate::ensure::shown;
use crate::lab::patience;
use crate::script::word;
use crate::{Failure, Lab, Script, Verdict};

const fn fact(name: &'static str, run: fn(&Lab<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Claims, run)
}

/// A field of a request: probed on the standing container.
const fn field(name: &'static str, run: fn(&Lab<'_>) -> Verdict) -> Case {
    fact(name, run).needs(&[Need::Shell]).core()
}

pub(super) const CASES: &[Case] = &[
    field("claims: exec-env is served or refused", |lab| {
        exec(lab, Capability::ExecEnv, |request| request.env("RT_GIVEN", "x"))
    }),
    field("claims: exec-secret-env is served or refused", |lab| {
        exec(lab, Capability::ExecSecretEnv, |request| request.secret_env("RT_GIVEN", "x"))
    }),
    field("claims: exec-workdir is served or refused", |lab| {
        exec(lab, Capability::ExecWorkdir, |request| request.workdir("/"))
    }),
    field("claims: exec-user is served or refused", |lab| {
        exec(lab, Capability::ExecUser, |request| request.user("0"))
    }),
    field("claims: output-limits is served or refused", |lab| {
        exec(lab, Capability::OutputLimits, |request| request.output_limit(OutputLimit::bytes(9)))
    }),
    field("claims: byte-arguments is served or refused", byte_arguments),
    field("claims: exec-stdio is served or refused", |lab| {
        let answer =
            lab.standing()?.exec_stdio(&lab.request(&Script::Exit(0))?, ExecStdio::default(), &patience());
        agrees(lab, Capability::ExecStdio, answer)
    }),
    fact("claims: start is served or refused", |lab| {
        agrees(lab, Capability::Start, lab.absent()?.start(&patience()))
    })
    .core(),
    fact("claims: stop is served or refused", |lab| {
        agrees(lab, Capability::Stop, lab.absent()?.stop(Duration::ZERO, &patience()))
    })
    .core(),
    fact("claims: wait is served or refused", |lab| {
        agrees(lab, Capability::Wait, lab.absent()?.wait(&patience()))
    })
    .core(),
    fact("claims: rw-size is served or refused", rw_size).core(),
    fact("claims: copy-in is served or refused", |lab| {
        let dest = ContainerPath::new("/")?;
        let source = Path::new("/rt/no/such/file");
        agrees(
            lab,
            Capability::CopyIn,
            lab.absent()?.copy_in(source, &dest, &CopyOptions::new(), &patience()),
        )
    })
    .core(),
    fact("claims: copy-out is served or refused", |lab| {
        let source = ContainerPath::new("/")?;
        let dest = lab.host_dir()?.join("taken");
        let answer = lab.absent()?.copy_out(&source, &dest, &CopyOptions::new(), &patience());
        ensure!(!dest.exists(), "something was copied out of nothing");
        agrees(lab, Capability::CopyOut, answer)
    })
    .core(),
    fact("claims: copy-tar is served or refused", copy_tar).core(),
    fact("claims: login-command is served or refused", login_command).core(),
    fact("claims: logs is served or refused", |lab| {
        agrees(lab, Capability::Logs, lab.absent()?.logs(&LogOptions::new()))?;
        let answer = lab.absent()?.stream_initial_logs(&mut |_| true, &mut io::sink(), &patience());
        agrees(lab, Capability::Logs, answer)
    })
    .core(),
    fact("claims: list is served or refused", list).core(),
    fact("claims: create is served or refused", |lab| create(lab, Capability::Create, |spec| spec)).core(),
    fact("claims: force-remove is served or refused", force_remove).core(),
    fact("claims: images is served or refused", images).core(),
    fact("claims: image-history is served or refused", |lab| {
        agrees(lab, Capability::ImageHistory, lab.runtime().image(&nowhere()?).history())
    })
    .core(),
    fact("claims: image-remove is served or refused", |lab| {
        agrees(lab, Capability::ImageRemove, lab.runtime().image(&nowhere()?).remove())
    })
    .core(),
    fact("claims: reserve-port is served or refused", |lab| {
        agrees(lab, Capability::ReservePort, lab.runtime().reserve_port(IpAddr::from([127, 0, 0, 1])))
    })
    .core(),
    fact("claims: events is served or refused", |lab| {
        let options = EventOptions::new().prefix(lab.family()?);
        agrees(lab, Capability::Events, lab.runtime().events(&options))
    })
    .core(),
    fact("claims: launch-ports is served or refused", |lab| {
        create(lab, Capability::LaunchPorts, |spec| spec.port(PortPublish::any_port_on_loopback(80)))
    }),
    fact("claims: launch-mounts is served or refused", |lab| {
        let mount = Mount::read_only(std::env::temp_dir(), "/mnt/suite")?;
        create(lab, Capability::LaunchMounts, |spec| spec.mount(mount.clone()))
    }),
    fact("claims: launch-limits is served or refused", |lab| {
        create(lab, Capability::LaunchLimits, |spec| spec.memory(64 << 20).milli_cpus(500))
    }),
    fact("claims: launch-network is served or refused", |lab| {
        create(lab, Capability::LaunchNetwork, |spec| spec.network(Network::None))
    }),
    fact("claims: launch-gpu is served or refused", |lab| {
        create(lab, Capability::LaunchGpu, |spec| spec.gpu_args(["--device", "rt.example/gpu=none"]))
    }),
    fact("claims: launch-oci-runtime is served or refused", |lab| {
        let runtime = OciRuntime::new("crun")?;
        create(lab, Capability::LaunchOciRuntime, |spec| spec.oci_runtime(runtime.clone()))
    }),
    fact("claims: launch-extra-args is served or refused", |lab| {
        create(lab, Capability::LaunchExtraArgs, |spec| spec.extra_args(["--hostname=suite"]))
    }),
];

fn nowhere() -> Result<ImageRef, Failure> {
    Ok(ImageRef::new("localhost/rt-no-such-image:none")?)
}

/// The answer must fit the claim. That it is another error than "unsupported" is fine: the probes ask for what is not
/// there.
fn agrees<T: Debug>(lab: &Lab<'_>, capability: Capability, answer: Result<T, Error>) -> Verdict {
    let claimed = lab.can(capability);
    match answer {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let unclaimed = error.missing().missing_from(lab.runtime().capabilities());
            // What needs another thing too (a history needs images) may be refused for that.
            ensure!(
                !unclaimed.is_empty(),
                "{capability} is claimed, as all that is missing, and the answer is {error}"
            );
            ensure!(
                claimed || error.missing().contains(capability),
                "{capability} is not among what is missing: {error}"
            );
            ensure!(error.never_started(), "a refusal may have started something: {error:?}");
            Ok(())
        }
        _ if claimed => Ok(()),
        other => {
            Err(Failure::new(format!("{capability} is not claimed, and the answer is {}", shown(&other))))
        }
    }
}

fn exec(
    lab: &Lab<'_>,
    capability: Capability,
    with: impl FnOnce(ExecRequestBuilder) -> ExecRequestBuilder,
) -> Verdict {
    let request = with(lab.builder(&Script::Exit(0))).build()?;
    ensure!(request.demands().contains(capability), "the probe does not demand {capability}");
    agrees(lab, capability, lab.standing()?.exec(&request, &patience()))
}

fn byte_arguments(lab: &Lab<'_>) -> Verdict {
    let request = lab.request(&Script::Words(vec![word(b"\xff".to_vec())]))?;
    agrees(lab, Capability::ByteArguments, lab.standing()?.exec(&request, &patience()))
}

fn rw_size(lab: &Lab<'_>) -> Verdict {
    agrees(lab, Capability::RwSize, lab.absent()?.rw_size())?;
    agrees(lab, Capability::RwSize, lab.runtime().rw_sizes(&lab.family()?))
}

fn copy_tar(lab: &Lab<'_>) -> Verdict {
    let place = ContainerPath::new("/")?;
    agrees(lab, Capability::CopyTar, lab.absent()?.copy_in_tar(&mut io::empty(), &place, &patience()))?;
    agrees(lab, Capability::CopyTar, lab.absent()?.copy_out_tar(&place, &mut io::sink(), &patience()))
}

/// In a container that runs: a backend may have to look at a guest before it can say how one gets in.
fn login_command(lab: &Lab<'_>) -> Verdict {
    if !lab.can(Capability::LoginCommand) {
        return agrees(lab, Capability::LoginCommand, lab.absent()?.login_command(None));
    }
    let container = lab.standing()?;
    let given = container.login_command(Some(&Argv::new(["rt-shell", "-x"])?))?;
    ensure!(!given.is_empty() && !given[0].is_empty(), "the argv of a session is {given:?}");
    ensure!(
        given.iter().any(|word| word.to_string_lossy().contains("rt-shell")),
        "the command is not in {given:?}"
    );
    ensure!(!container.login_command(None)?.is_empty(), "the argv of a default session is empty");
    Ok(())
}

fn list(lab: &Lab<'_>) -> Verdict {
    let family = lab.family()?;
    agrees(lab, Capability::List, lab.runtime().list(&ContainerFilter::prefix(family.clone())))?;
    agrees(lab, Capability::List, lab.runtime().containers_with_prefix(&family))?;
    agrees(lab, Capability::List, lab.runtime().states(&family))
}

fn force_remove(lab: &Lab<'_>) -> Verdict {
    let nobody = lab.absent()?.key().name.clone();
    let results = lab.runtime().force_remove(std::slice::from_ref(&nobody), &patience());
    let [result] = &results[..] else {
        return Err(Failure::new(format!("one name has the results {results:?}")));
    };
    let answer = result.error.clone().map_or(Ok(()), Err);
    agrees(lab, Capability::ForceRemove, answer)
}

fn images(lab: &Lab<'_>) -> Verdict {
    agrees(lab, Capability::Images, lab.runtime().images(&ImageFilter::dangling()))?;
    agrees(lab, Capability::Images, lab.runtime().image(&nowhere()?).inspect())?;
    agrees(lab, Capability::Images, lab.absent()?.image())
}

/// What is claimed is probed with an image that is not here, so that nothing is made. What is not is probed with the
/// suite's own, so that something could be.
fn create(
    lab: &Lab<'_>,
    capability: Capability,
    with: impl FnOnce(LaunchSpecBuilder) -> LaunchSpecBuilder,
) -> Verdict {
    let name = lab.name()?;
    let image = if lab.can(capability) { nowhere()? } else { lab.fixture().image().clone() };
    let builder = rt_protocol::LaunchSpec::builder(name.as_str(), image.as_str()).pull(PullPolicy::Never);
    let spec = with(builder).build()?;
    ensure!(spec.demands().contains(capability), "the probe does not demand {capability}");
    let answer = lab.runtime().create(&spec, &patience());
    // A backend that makes nothing at all says so first.
    let capability = if lab.can(Capability::Create) { capability } else { Capability::Create };
    agrees(lab, capability, answer)?;
    ensure_eq!(lab.runtime().container(&name).state()?, None, "the state of what was not made");
    Ok(())
}
