//! Containers of every shape: whatever a container lacks, a command runs once and its answer is
//! right, by agents where they can serve, and else by `podman exec` with the reason.

use std::fs::{self, Permissions};
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rt_podman::{ColdReason, ExecPath, Warmth};
use rt_protocol::{
    Container, ContainerRuntime, ErrorKind, ExecRequest, ExecRequestBuilder, ExecStdio, ExitOutcome,
    ImageRef, KillOutcome, LaunchSpec, Network, Sink, Source, Until, User,
};
use rt_tests::live::{Live, chosen_exec_path};
use rt_tests::sandbox::Sandbox;
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::kills::{BOUND, check_report};
use crate::sleepers::{fresh_tag, kill_sleepers, wait_for_sleepers};
use crate::warm_container::{WarmContainer, minute, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("warm shapes: read-only, unprivileged, with other users and namespaces, a container is warm", shapes),
    ("warm shapes: a container of nothing but one program is warm", one_program),
    ("warm shapes: where a container has no /proc, Auto answers as podman does", no_proc),
    ("warm shapes: where seccomp refuses what an agent needs, Auto runs commands cold, and once", seccomp),
];

pub(crate) const PAUSED_CASES: &[Case] =
    &[("warm shapes: a paused container says so at once, and nothing runs later", paused)];

pub(crate) const ROOM_CASES: &[Case] = &[
    ("warm shapes: where there is no room for an agent, Auto runs commands cold, and once", no_room),
    ("warm shapes: where there is no room left for a supervisor, Auto runs commands cold, and once", full),
];

/// On whose podman a shape can be had.
#[derive(Clone, Copy, PartialEq)]
enum Rights {
    Any,
    Root,
    Rootless,
}

const SHAPES: &[(Rights, &[&str])] = &[
    (Rights::Any, &["--read-only", "--read-only-tmpfs=false"]),
    (Rights::Any, &["--user=dev"]),
    (Rights::Any, &["--user=1234:4321", "--cap-drop=all"]),
    (Rights::Any, &["--cap-drop=all", "--security-opt=no-new-privileges", "--read-only"]),
    (Rights::Any, &["--init"]),
    (Rights::Any, &["--pid=host"]),
    (Rights::Any, &["--pid=container:OTHER"]),
    (Rights::Any, &["--pid=container:OTHER", "--user=dev"]),
    (Rights::Any, &["--security-opt=proc-opts=hidepid=2"]),
    (Rights::Any, &["--security-opt=proc-opts=hidepid=2", "--user=dev"]),
    (Rights::Any, &["--tmpfs=/tmp:rw,noexec,nosuid,nodev", "--tmpfs=/run:rw,noexec", "--workdir=/run"]),
    // Numbers of another namespace.
    (Rights::Root, &["--volume=/proc:/proc"]),
    (Rights::Root, &["--uidmap=0:100000:65536"]),
    (Rights::Rootless, &["--userns=keep-id"]),
    (Rights::Rootless, &["--userns=keep-id", "--cap-drop=all", "--read-only"]),
];

/// A directory of the host in which each run of a command leaves a line.
struct Runs(TempDir);

impl Runs {
    fn new() -> Result<Self, Problem> {
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777))?;
        Ok(Self(directory))
    }

    fn volume(&self) -> String {
        format!("--volume={}:/runs", self.0.path().display())
    }

    fn count(&self, name: &str) -> usize {
        fs::read_to_string(self.0.path().join(name)).unwrap_or_default().lines().count()
    }

    /// A command that says where it runs, and a name for its runs. Its shell starts no other
    /// process.
    fn command(user: Option<&str>) -> Result<(ExecRequest, String), Problem> {
        const SCRIPT: &str = "echo run >>/runs/$1; echo out; echo err >&2; exit 3";
        let name = fresh_tag().to_string();
        let request = ExecRequest::builder(["sh", "-c", SCRIPT, "sh", &name]);
        let request = user.into_iter().fold(request, ExecRequestBuilder::user);
        Ok((request.build()?, name))
    }

    /// Runs such a command, which runs once and answers right.
    fn assert_runs(&self, container: &dyn Container, user: Option<&str>, about: &str) -> Outcome {
        let (request, name) = Self::command(user)?;
        let result = container.exec(&request, &minute()).map_err(|error| format!("{about}: {error}"))?;
        let seen = (&result.outcome, result.stdout.text(), result.stderr.text());
        assert_eq!(seen, (&ExitOutcome::Code(3), "out\n".into(), "err\n".into()), "{about}");
        assert_eq!(self.count(&name), 1, "{about}");
        Ok(())
    }
}

/// What is served in every shape: users, signals, commands that cannot start, and a deadline, after
/// which nothing lives.
fn assert_serves(warm: &WarmContainer<'_>, runs: &Runs, about: &str) -> Outcome {
    for user in [None, Some("0"), Some("dev"), Some("4242:4343")] {
        runs.assert_runs(&*warm.container, user, about)?;
        let user = user.map(User::new).transpose()?;
        let warmth = warm.runtime.warm_up(&warm.sandbox.name, user.as_ref(), &minute())?;
        assert_eq!(warmth, Warmth::Warm, "{about}: {user:?}");
    }
    assert_eq!(warm.sh("kill -TERM $$")?.outcome, ExitOutcome::Signal("TERM".to_owned()), "{about}");
    let error = warm.container.exec(&ExecRequest::new(["/no/such"])?, &minute()).unwrap_err();
    assert!(error.kind() == ErrorKind::CommandNotFound && error.never_started(), "{about}: {error}");
    let tag = fresh_tag();
    let script = format!("(setsid env -i sleep {tag} &); sleep {tag} & exec sleep {tag}");
    assert_ends(warm, &ExecRequest::new(["sh", "-c", &script])?, tag, 3, about)
}

/// Has a deadline end a command of so many processes that sleep for `tag`.
fn assert_ends(
    warm: &WarmContainer<'_>,
    request: &ExecRequest,
    tag: u32,
    count: usize,
    about: &str,
) -> Outcome {
    let deadline = warm.sandbox.allow(Duration::from_secs(1))?;
    std::thread::scope(|scope| -> Outcome {
        let call = scope.spawn(|| warm.container.exec(request, &Until::after(deadline)));
        wait_for_sleepers(tag, count);
        let error = call.join().expect("no panic").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{about}: {error}");
        let report = error.kill_report().ok_or("no report")?;
        check_report(report, tag, about);
        assert_eq!(report.outcome, KillOutcome::Gone, "{about}: {report:?}");
        Ok(())
    })
}

fn shapes(live: &Live) -> Outcome {
    let is_root = rustix::process::geteuid().is_root();
    let other = Sandbox::idle(live)?;
    for (rights, arguments) in SHAPES {
        if *rights == if is_root { Rights::Rootless } else { Rights::Root } {
            println!("    {arguments:?}: not with these rights");
            continue;
        }
        // podman then shares no process namespace.
        if live.cgroups().is_err() && arguments.iter().any(|word| word.starts_with("--pid=")) {
            println!("    {arguments:?}: not without control groups");
            continue;
        }
        let runs = Runs::new()?;
        let about = format!("{arguments:?}");
        let arguments = arguments.iter().map(|word| word.replace("OTHER", other.name.as_str()));
        let spec =
            Sandbox::spec(live).command(["sleep", "777777"]).extra_args(arguments.chain([runs.volume()]));
        let warm = WarmContainer::with_runtime(live, spec, live.builder().exec_path(ExecPath::Auto))
            .map_err(|error| format!("{about}: {error}"))?;
        assert_serves(&warm, &runs, &about)?;
        warm.assert_leaves_nothing()?;
    }
    Ok(())
}

/// `FROM scratch` and one static program: no shell, no directory, no users.
fn one_program(live: &Live) -> Outcome {
    let image = ImageRef::new("localhost/rt-test:one-program")?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let program = fs::read(&live.busybox)?;
    header.set_mode(0o755);
    header.set_size(program.len().try_into()?);
    archive.append_data(&mut header, "sleep", program.as_slice())?;
    live.runtime.import_image(Cursor::new(archive.into_inner()?), &image, &[], &minute())?;
    for user in [None, Some("4242:4343")] {
        let arguments = user.map(|user| format!("--user={user}"));
        let spec = LaunchSpec::builder(Sandbox::fresh_name(), image.as_str())
            .network(Network::None)
            .command(["/sleep", "777777"])
            .extra_args(arguments.into_iter().chain(["--read-only".to_owned()]));
        let warm = WarmContainer::with_runtime(live, spec, live.builder().exec_path(ExecPath::Auto))?;
        let exec = |words: &[&str]| -> Result<_, rt_protocol::Error> {
            warm.container.exec(&ExecRequest::new(words.iter().copied())?, &minute())
        };
        assert!(exec(&["/sleep", "0"])?.success());
        assert_eq!(warm.runtime.warm_up(&warm.sandbox.name, None, &minute())?, Warmth::Warm);
        let result = exec(&["/sleep", "x"])?;
        assert!(result.outcome == ExitOutcome::Code(1) && result.stderr.text().contains('x'), "{result:?}");
        for words in [["sh", "-c"], ["/bin/sh", "-c"]] {
            let error = exec(&words).unwrap_err();
            assert!(error.kind() == ErrorKind::CommandNotFound && error.never_started(), "{error}");
        }
        let tag = fresh_tag();
        let request = ExecRequest::new(["/sleep", &tag.to_string()])?;
        let call = |until: &Until| warm.container.exec(&request, until);
        std::thread::scope(|scope| -> Outcome {
            let running = scope.spawn(|| call(&minute()));
            wait_for_sleepers(tag, 1);
            kill_sleepers(tag);
            assert_eq!(running.join().expect("no panic")?.outcome, ExitOutcome::Signal("KILL".to_owned()));
            Ok(())
        })?;
        let error = call(&Until::after(Duration::from_secs(2))).unwrap_err();
        let report = error.kill_report().ok_or("no report")?;
        check_report(report, tag, "one program");
        assert_eq!(report.outcome, KillOutcome::Gone, "{report:?}");
        warm.assert_leaves_nothing()?;
    }
    live.plain(&["rmi", "--force", image.as_str()])?;
    Ok(())
}

/// An agent is started by its name in `/proc`. runc needs that itself.
fn no_proc(live: &Live) -> Outcome {
    let runs = Runs::new()?;
    let spec = Sandbox::spec(live)
        .command(["sleep", "777777"])
        .extra_args(["--tmpfs=/proc".to_owned(), runs.volume()]);
    let warm = WarmContainer::with_runtime(live, spec, live.builder().exec_path(ExecPath::Auto));
    if live.has_runc()? {
        let error = warm.err().ok_or("runc has started it")?;
        assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
        return Ok(());
    }
    let warm = warm?;
    let cold = live.builder().exec_path(ExecPath::Cold).build()?.container(&warm.sandbox.name);
    let exec = |container: &dyn Container| -> Result<_, Problem> {
        let (request, name) = Runs::command(None)?;
        let answer = container.exec(&request, &minute());
        let answer =
            answer.map(|result| result.outcome).map_err(|error| (error.kind(), error.never_started()));
        Ok((answer, runs.count(&name)))
    };
    let as_podman = exec(&*cold)?;
    for _ in 0..2 {
        assert_eq!(exec(&*warm.container)?, as_podman);
    }
    let warmth = warm.runtime.warm_up(&warm.sandbox.name, None, &minute())?;
    assert!(matches!(warmth, Warmth::Cold(ColdReason::Refused(_))), "{warmth}");
    // podman 4.3 keeps the ids of commands that were not found, its own included (podman#20392).
    warm.runtime.cool_down(&minute())?;
    assert_eq!((warm.agents(), warm.clients()), (Vec::new(), Vec::new()));
    Ok(())
}

/// What the agent's program calls; and two calls of which an agent is thought to need one inside.
const CALLS: [&str; 32] = [
    // Without these, an agent that began to serve could not end what it began.
    "wait4",
    "waitid",
    "signalfd4",
    "ppoll",
    "recvmsg",
    "recvfrom",
    "clone",
    "kill",
    "clock_gettime",
    "setsid",
    "prctl",
    "rt_sigaction",
    "rt_sigprocmask",
    "sendto",
    "pipe2",
    "dup3",
    "fcntl",
    "statx",
    "getcwd",
    "chdir",
    "mmap",
    "read",
    "close",
    "openat",
    "getdents64",
    "faccessat",
    "getpid",
    "close_range",
    "pidfd_open",
    "pidfd_send_signal",
    "memfd_create",
    "execveat",
];

/// How many of them are tried when the path is not what a run is about; each takes some seconds.
const SAMPLE: usize = 9;

fn profile(directory: &Path, call: &str, action: &str) -> Result<String, Problem> {
    let text = format!(
        r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["{call}"],"action":"{action}"}}]}}"#
    );
    let path = directory.join(format!("{call}-{action}.json"));
    fs::write(&path, text)?;
    fs::set_permissions(&path, Permissions::from_mode(0o644))?;
    Ok(format!("--security-opt=seccomp={}", path.display()))
}

fn seccomp(live: &Live) -> Outcome {
    let profiles = tempfile::tempdir()?;
    fs::set_permissions(profiles.path(), Permissions::from_mode(0o755))?;
    let all = chosen_exec_path().is_some();
    let (mut warm_ones, mut cold_ones, mut no_containers) = (Vec::new(), Vec::new(), Vec::new());
    for (place, call) in CALLS.into_iter().enumerate() {
        for action in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"] {
            if !all && (place >= SAMPLE || (action == "SCMP_ACT_KILL_PROCESS") != (place % 3 == 0)) {
                continue;
            }
            let about = format!("{call} {action}");
            let runs = Runs::new()?;
            let arguments = [profile(profiles.path(), call, action)?, runs.volume()];
            let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(arguments);
            let builder = || live.builder().exec_path(ExecPath::Auto);
            // Not every program, and not every OCI runtime, does without every call.
            let Ok(warm) = WarmContainer::with_runtime(live, spec, builder()) else {
                no_containers.push(about);
                continue;
            };
            let cold = live.builder().exec_path(ExecPath::Cold).build()?.container(&warm.sandbox.name);
            if runs.assert_runs_at_all(&*cold).is_err() {
                no_containers.push(about);
                continue;
            }
            for _ in 0..2 {
                runs.assert_runs(&*warm.container, None, &about)?;
            }
            match warm.runtime.warm_up(&warm.sandbox.name, None, &minute())? {
                Warmth::Warm => {
                    let tag = fresh_tag();
                    let request = ExecRequest::new(["sleep", &tag.to_string()])?;
                    assert_ends(&warm, &request, tag, 1, &about)?;
                    warm_ones.push(about);
                }
                Warmth::Cold(ColdReason::Refused(_)) => {
                    let chosen = live.builder().exec_path(ExecPath::Warm).build()?;
                    let (request, name) = Runs::command(None)?;
                    let container = chosen.container(&warm.sandbox.name);
                    let error = container.exec(&request, &minute()).unwrap_err();
                    assert!(error.never_started() && runs.count(&name) == 0, "{about}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Unsupported, "{about}: {error}");
                    cold_ones.push(about);
                }
                other => return Err(format!("{about}: {other}").into()),
            }
            warm.assert_leaves_nothing()?;
        }
    }
    println!("    warm: {warm_ones:?}\n    cold: {cold_ones:?}\n    no container: {no_containers:?}");
    assert!(cold_ones.len() > 2, "{cold_ones:?}");
    Ok(())
}

impl Runs {
    /// Whether such a command runs by podman.
    fn assert_runs_at_all(&self, container: &dyn Container) -> Result<(), Problem> {
        let (request, name) = Self::command(None)?;
        let result = container.exec(&request, &minute())?;
        let is_right = result.outcome == ExitOutcome::Code(3) && self.count(&name) == 1;
        if is_right { Ok(()) } else { Err(format!("{:?}", result.outcome).into()) }
    }
}

fn paused(live: &Live) -> Outcome {
    for path in [ExecPath::Auto, ExecPath::Warm] {
        for has_agent in [true, false] {
            let about = format!("{path}, with an agent: {has_agent}");
            let runs = Runs::new()?;
            let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args([runs.volume()]);
            let warm = WarmContainer::with_runtime(live, spec, live.builder().exec_path(path))?;
            if has_agent {
                runs.assert_runs(&*warm.container, None, &about)?;
            }
            live.plain(&["pause", warm.name()])?;
            let begun = Instant::now();
            let (captured, first) = Runs::command(None)?;
            let (bridged, second) = Runs::command(None)?;
            let errors = [
                warm.container.exec(&captured, &minute()).unwrap_err(),
                warm.container
                    .exec_stdio(&bridged, ExecStdio::new(Source::empty(), Sink::discard()), &minute())
                    .unwrap_err(),
            ];
            let elapsed = begun.elapsed();
            live.plain(&["unpause", warm.name()])?;
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::Paused, "{about}: {error}");
                assert!(error.never_started(), "{about}: {error}");
            }
            assert!(elapsed < BOUND, "{about}: {elapsed:?}");
            runs.assert_runs(&*warm.container, None, &about)?;
            assert_eq!((runs.count(&first), runs.count(&second)), (0, 0), "{about}");
            warm.assert_leaves_nothing()?;
        }
    }
    Ok(())
}

fn no_room(live: &Live) -> Outcome {
    let mut cold_ones = Vec::new();
    for limit in 2..=6 {
        let about = format!("{limit} processes");
        let runs = Runs::new()?;
        let arguments = [format!("--pids-limit={limit}"), runs.volume()];
        let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(arguments);
        let warm = WarmContainer::with_runtime(live, spec, live.builder().exec_path(ExecPath::Auto))?;
        let cold = live.builder().exec_path(ExecPath::Cold).build()?.container(&warm.sandbox.name);
        // Some OCI runtimes are several processes themselves.
        if runs.assert_runs_at_all(&*cold).is_err() {
            continue;
        }
        for _ in 0..2 {
            runs.assert_runs(&*warm.container, None, &about)?;
        }
        if warm.runtime.warm_up(&warm.sandbox.name, None, &minute())? != Warmth::Warm {
            cold_ones.push(limit);
        }
        warm.assert_leaves_nothing()?;
    }
    println!("    cold with {cold_ones:?}");
    Ok(())
}

/// Of five processes, four are there already: the container's own, the agent, and two that others
/// started. A supervisor is the fifth, and its command has no room.
fn full(live: &Live) -> Outcome {
    let runs = Runs::new()?;
    let arguments = ["--pids-limit=5".to_owned(), runs.volume()];
    let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(arguments);
    let warm = WarmContainer::with_runtime(live, spec, live.builder().exec_path(ExecPath::Auto))?;
    assert_eq!(warm.runtime.warm_up(&warm.sandbox.name, None, &minute())?, Warmth::Warm);
    let tag = fresh_tag();
    let request = ExecRequest::new(["sleep", &tag.to_string()])?;
    std::thread::scope(|scope| -> Outcome {
        let cold = live.builder().exec_path(ExecPath::Cold).build()?.container(&warm.sandbox.name);
        let calls = [(); 2].map(|()| {
            let (cold, request) = (cold.clone(), &request);
            scope.spawn(move || cold.exec(request, &minute()))
        });
        wait_for_sleepers(tag, 2);
        // Some OCI runtimes are several processes themselves.
        let by_podman = runs.assert_runs_at_all(&*cold);
        let times = if by_podman.is_ok() { 3 } else { 0 };
        let outcome = (0..times).try_for_each(|_| runs.assert_runs(&*warm.container, None, "full"));
        kill_sleepers(tag);
        for call in calls {
            drop(call.join().expect("no panic")?);
        }
        outcome
    })?;
    wait_until("there is room again", || warm.sh("exit 0").is_ok_and(|result| result.success()));
    assert_eq!(warm.runtime.warm_up(&warm.sandbox.name, None, &minute())?, Warmth::Warm);
    warm.assert_leaves_nothing()
}
