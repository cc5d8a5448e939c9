//! Launch: what the main process may do, and what the engine does about its start and end.
//! [`super::launch`] has the rest.

use std::time::Duration;

use rt_protocol::{
    Argv, BindMount, Capability, Container, ContainerExt, ExecRequest, ExitOutcome, HealthCheck, LogOptions,
    RestartPolicy, SecurityOption, Signal, Tmpfs, Volume,
};

use super::lifecycle::wait_for_handler;
use crate::required::RUN;
use crate::timeout::timeout;
use crate::{Case, Failure, Group, Need, Script, TestContext, Verdict};

const fn fact(name: &'static str, run: fn(&TestContext<'_>) -> Verdict) -> Case {
    Case::new(name, Group::Launch, run).can(RUN)
}

pub(super) const CASES: &[Case] = &[
    fact("launch: an entrypoint stands before the command", entrypoint)
        .can(&[Capability::LaunchEntrypoint, Capability::Logs])
        .needs(&[Need::MainProcess, Need::LaunchSettings]),
    fact("launch: a read-only root takes no file, and a tmpfs in it does", read_only_root)
        .can(&[Capability::LaunchReadOnlyRoot, Capability::LaunchTmpfs])
        .needs(&[Need::Shell, Need::Files, Need::LaunchSettings]),
    fact("launch: a tmpfs is empty, and has its size and its mode", tmpfs)
        .can(&[Capability::LaunchTmpfs])
        .needs(&[Need::System, Need::LaunchSettings]),
    fact("launch: a volume takes files, and is read back", volume)
        .can(&[Capability::LaunchVolumes])
        .needs(&[Need::Shell, Need::Files]),
    fact("launch: its processes are limited in number", pids_limit)
        .can(&[Capability::LaunchLimits])
        .needs(&[Need::System, Need::Cgroups, Need::LaunchSettings]),
    fact("launch: an end for want of memory is not denied", oom_killed)
        .can(&[Capability::LaunchLimits])
        .needs(&[Need::MainProcess, Need::System, Need::Cgroups, Need::LaunchSettings]),
    fact("launch: capabilities are dropped and added", capabilities)
        .can(&[Capability::LaunchSecurity])
        .needs(&[Need::System]),
    fact("launch: no program gets new privileges if it is told so", no_new_privileges)
        .can(&[Capability::LaunchSecurity])
        .needs(&[Need::System]),
    fact("launch: a stop sends the signal of the launch first", stop_signal)
        .can(&[Capability::LaunchStopSignal, Capability::Stop, Capability::Wait])
        .needs(&[Need::MainProcess, Need::System]),
    fact("launch: a health check has a result from the start on", health_check)
        .can(&[Capability::LaunchHealthCheck]),
    fact("launch: a main process that fails is started again, as often as it may", restart)
        .can(&[Capability::LaunchRestart, Capability::LaunchMounts])
        .needs(&[Need::MainProcess, Need::System, Need::LaunchSettings]),
];

/// Runs a shell script in the container and returns its stdout.
fn sh(container: &dyn Container, script: &str) -> Result<String, Failure> {
    let result = container.exec(&ExecRequest::new(["sh", "-c", script])?, &timeout())?;
    ensure!(result.success(), "{script}: {}: {}", result.outcome, result.stderr)?;
    Ok(result.stdout.text().trim().to_owned())
}

fn entrypoint(context: &TestContext<'_>) -> Verdict {
    let argv = Argv::new(Script::print("a b\n").argv())?;
    let (entrypoint, command) = argv.words().split_at(4);
    let spec = context.launch_spec(&context.name()?).entrypoint(entrypoint).command(command);
    let container = context.create_from(spec)?;
    context.start(container.as_ref())?;
    context.wait_for_exit(container.as_ref())?;
    let log: Result<Vec<_>, _> = container.logs(&LogOptions::new(), &timeout())?.iter(timeout()).collect();
    let lines: Vec<_> = log?.iter().map(|line| line.text().into_owned()).collect();
    ensure_eq!(lines, ["a b"], "what the entrypoint made of the command")
}

fn read_only_root(context: &TestContext<'_>) -> Verdict {
    let tmpfs = Tmpfs::new("/mnt/suite")?;
    let container = context.started_with(|spec| spec.read_only_root(true).tmpfs(tmpfs))?;
    for path in [format!("{}/taken", context.fixture().scratch()), String::from("/taken")] {
        let write = Script::WriteFile { path: path.clone().into(), bytes: b"no".to_vec() };
        let result = TestContext::run_in(container.as_ref(), &write)?;
        ensure!(!result.success(), "writing {path} of a read-only root ended with 0")?;
    }
    TestContext::write_file(container.as_ref(), "/mnt/suite/taken".into(), b"yes")?;
    let seen = TestContext::text_in(container.as_ref(), &Script::ReadFile("/mnt/suite/taken".into()))?;
    ensure_eq!(seen, "yes", "the file in the tmpfs")
}

fn tmpfs(context: &TestContext<'_>) -> Verdict {
    // In the place of a directory of the image that is not empty.
    let tmpfs = Tmpfs::new("/etc")?.with_size(1 << 20).with_mode(0o750);
    let container = context.started_with(|spec| spec.tmpfs(tmpfs).user("0:0"))?;
    let seen = sh(container.as_ref(), "ls -ld /etc | head -c 10; echo; ls -A /etc | grep -c passwd || :")?;
    ensure_eq!(seen, "drwxr-x---\n0", "the mode, and whether the image's files are there")?;
    sh(container.as_ref(), "head -c 500000 /dev/zero >/etc/half")?;
    let much = ExecRequest::new(["sh", "-c", "head -c 2000000 /dev/zero >/etc/much"])?;
    let result = container.exec(&much, &timeout())?;
    ensure!(!result.success(), "2 MB fit into a tmpfs of 1 MiB")
}

fn volume(context: &TestContext<'_>) -> Verdict {
    let volume = Volume::anonymous("/mnt/suite")?;
    let container = context.started_with(|spec| spec.volume(volume))?;
    TestContext::write_file(container.as_ref(), "/mnt/suite/taken".into(), b"yes")?;
    let seen = TestContext::text_in(container.as_ref(), &Script::ReadFile("/mnt/suite/taken".into()))?;
    ensure_eq!(seen, "yes", "the file in the volume")?;
    let mounts = container.mounts(timeout())?.unwrap_or_default();
    let is_listed = mounts.iter().any(|mount| mount.destination.as_os_str() == "/mnt/suite");
    ensure!(is_listed, "the mounts are {mounts:?}")
}

fn pids_limit(context: &TestContext<'_>) -> Verdict {
    const MANY: u32 = 40;
    let container = context.started_with(|spec| spec.pids_limit(MANY))?;
    // A shell that cannot fork ends with an error; its children end with it or soon after.
    let script = format!("for n in $(seq {MANY}); do sleep 1 & done; wait");
    let result = container.exec(&ExecRequest::new(["sh", "-c", &script])?, &timeout())?;
    ensure!(!result.success(), "{MANY} more processes ran beside the first: {result:?}")?;
    ensure!(container.running(timeout())?, "it does not run any more")
}

fn oom_killed(context: &TestContext<'_>) -> Verdict {
    // A variable of a shell takes as much memory as it has characters.
    let script = "sleep 0.2; x=$(head -c 100000000 /dev/zero | tr '\\0' x); sleep 2000000";
    let spec = context.launch_spec(&context.name()?).command(["sh", "-c", script]).memory(24 << 20);
    let container = context.create_from(spec)?;
    context.start(container.as_ref())?;
    context.wait_for_exit(container.as_ref())?;
    // Some engines miss it. Then it is not known.
    let killed = |container: &dyn Container| -> Result<Option<bool>, Failure> {
        Ok(container.inspect(&timeout())?.and_then(|info| info.oom_killed))
    };
    let told = killed(container.as_ref())?;
    ensure!(told != Some(false), "it is said not to have run out of memory")?;
    let other = context.started(&Script::Exit(5))?;
    context.wait_for_exit(other.as_ref())?;
    ensure!(killed(other.as_ref())? != Some(true), "it is said to have run out of memory")
}

fn capabilities(context: &TestContext<'_>) -> Verdict {
    let container = context.started_with(|spec| spec.cap_drop("ALL").cap_add("NET_ADMIN"))?;
    let seen = sh(container.as_ref(), "grep CapBnd /proc/self/status | tr -d '\\t'")?;
    ensure_eq!(seen, "CapBnd:0000000000001000", "the bounding set of a command")
}

fn no_new_privileges(context: &TestContext<'_>) -> Verdict {
    let option = SecurityOption::no_new_privileges();
    let container = context.started_with(|spec| spec.security_option(option))?;
    let seen = sh(container.as_ref(), "grep NoNewPrivs /proc/self/status | tr -d '\\t'")?;
    ensure_eq!(seen, "NoNewPrivs:1", "the flag of a command")
}

fn stop_signal(context: &TestContext<'_>) -> Verdict {
    let script = "trap 'exit 9' USR1; trap 'exit 1' TERM; echo ready; sleep 2000000 & wait";
    let spec = context.launch_spec(&context.name()?).command(["sh", "-c", script]).stop_signal(Signal::USR1);
    let container = context.create_from(spec)?;
    context.start(container.as_ref())?;
    wait_for_handler(context, container.as_ref())?;
    container.stop(Duration::from_secs(10), &timeout())?;
    ensure_eq!(container.wait(&timeout())?, ExitOutcome::Code(9), "the code of its handler")
}

fn health_check(context: &TestContext<'_>) -> Verdict {
    let check = HealthCheck::new(["sh", "-c", "exit 0"])?;
    let container = context.started_with(|spec| spec.health_check(check))?;
    // Before the first check it is "starting".
    let health = container.health(timeout())?;
    ensure!(health.is_some(), "it has no health")
}

fn restart(context: &TestContext<'_>) -> Verdict {
    let source = context.host_dir()?;
    let spec = context
        .launch_spec(&context.name()?)
        .mount(BindMount::writable(&source, "/mnt/suite")?)
        .restart(RestartPolicy::OnFailure { max_retries: std::num::NonZeroU32::new(2) })
        .command(["sh", "-c", "echo begun >>/mnt/suite/notes; exit 3"]);
    let container = context.create_from(spec)?;
    context.start(container.as_ref())?;
    let begun = || std::fs::read_to_string(source.join("notes")).unwrap_or_default().lines().count();
    TestContext::eventually("it has begun three times", || Ok((begun() >= 3).then_some(())))?;
    context.wait_for_exit(container.as_ref())?;
    ensure_eq!(begun(), 3, "how often it has begun")
}
