//! Starts of agents that fail: a client that is ended, a program in the place of podman or of the
//! OCI runtime that passes no descriptors, a podman that is remote. Each command runs once, by
//! podman, and the reason is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_podman::{AgentLimits, ColdReason, ExecPath, PodmanVersion, Warmth};
use rt_protocol::{Container, ContainerRuntime, ExecRequest, ExecResult, Result};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rustix::process::Signal;

use crate::case::{Case, Outcome};
use crate::processes::{find, send};
use crate::random::Random;
use crate::warm_container::{WarmContainer, minute, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("warm starts: a client that is ended while it starts an agent costs no command", ended_clients),
    ("warm starts: a podman that loses descriptors makes Auto cold, and says why", lost_descriptors),
];

/// Without control groups, podman serves no OCI runtime that it does not know.
pub(crate) const CGROUP_CASES: &[Case] = &[
    ("warm starts: an OCI runtime that loses descriptors makes Auto cold, and says why", lossy_runtime),
    ("warm starts: an OCI runtime of another name is served", other_runtime),
];

/// Runs a command that adds one line to a file, and gives back what the file has.
fn count(container: &dyn Container, word: &str) -> Result<ExecResult> {
    let script = format!("echo {word} >>/tmp/ran; grep -c '^{word}$' /tmp/ran");
    container.exec(&ExecRequest::new(["sh", "-c", &script])?, &minute())
}

fn ended_clients(live: &Live) -> Outcome {
    let mut random = Random::new("clients that are ended while they start agents");
    let warm = WarmContainer::idle(live)?;
    let mut limits = AgentLimits::DEFAULT;
    limits.idle = Duration::from_millis(warm.tag().parse()?);
    // podman 5 exits with 1, as an agent does that cannot serve.
    let exits_with_0 = live.runtime.profile()?.version < PodmanVersion::new(5, 0, 0);
    let mut was_ended = 0;
    for round in 0..16 {
        let runtime = live.builder().exec_path(ExecPath::Auto).agent_limits(limits).build()?;
        let container = runtime.container(&warm.sandbox.name);
        let (signal, pause) = (random.pick(&[Signal::TERM, Signal::KILL, Signal::INT]), random.below(200));
        let answer = std::thread::scope(|scope| {
            let call = scope.spawn(|| count(&*container, &format!("word-{round}")));
            wait_until("a client", || !warm.clients().is_empty() || call.is_finished());
            std::thread::sleep(Duration::from_millis(pause));
            for client in warm.clients() {
                send(client, signal);
                was_ended += 1;
            }
            call.join().expect("no panic")
        });
        let about = format!("{signal:?} after {pause} ms");
        let result = answer.map_err(|error| format!("{about}: {error}"))?;
        assert_eq!((result.success(), result.stdout.text().as_ref()), (true, "1\n"), "{about}: {result:?}");
        // It does not make the container cold for a minute, unless it looks as if the agent had
        // ended.
        let is_told = signal == Signal::KILL || (signal == Signal::TERM && exits_with_0);
        let is_warm =
            || runtime.warm_up(&warm.sandbox.name, None, &minute()).is_ok_and(|it| it == Warmth::Warm);
        if is_told {
            wait_until("an agent serves it", is_warm);
        }
        let next = count(&*container, &format!("next-{round}"))?;
        assert_eq!(next.stdout.text(), "1\n", "{about}");
        drop((container, runtime));
        wait_until("nothing is left of its agents", || warm.processes().is_empty());
    }
    assert!(was_ended >= 12, "{was_ended}");
    assert_eq!(find(false, &["--preserve-fds=2", warm.tag()]), [0; 0]);
    assert_eq!(warm.inside(&["sh", "-c", "sort /tmp/ran | uniq -d"])?, "");
    Ok(())
}

/// A program of the host.
fn script(directory: &Path, name: &str, text: &str) -> std::io::Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Commands run once each, by podman, and the reason has one of these texts.
fn assert_cold(runtime: &rt_podman::PodmanRuntime, sandbox: &Sandbox<'_>, texts: &[&str]) -> Outcome {
    let container = runtime.container(&sandbox.name);
    for number in 0..3 {
        assert_eq!(count(&*container, &format!("word-{number}"))?.stdout.text(), "1\n");
    }
    let warmth = runtime.warm_up(&sandbox.name, None, &minute())?;
    let Warmth::Cold(ColdReason::Refused(why)) = &warmth else { panic!("{warmth}") };
    assert!(texts.iter().any(|text| why.contains(text)), "{why}");
    Ok(())
}

fn lost_descriptors(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let sandbox = Sandbox::idle(live)?;
    for (number, (instead, word)) in [
        // As a wrapper does that starts podman by another program.
        ("exec 3<&- 4<&-", "descriptor"),
        // As a wrapper does that takes other words for podman's.
        ("case \"$*\" in *--preserve-fds*) exit 1;; esac", "ended at once"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("{instead}\nexec {} \"$@\"", live.podman.display());
        let wrapper = script(directory.path(), &format!("podman-{number}"), &text)?;
        let runtime = live.builder().binary(wrapper).exec_path(ExecPath::Auto).build()?;
        sandbox.sh("rm -f /tmp/ran")?.exit_ok()?;
        assert_cold(&runtime, &sandbox, &[word])?;
    }
    Ok(())
}

/// A runtime whose containers have this program as their OCI runtime.
fn with_oci_runtime(
    live: &Live,
    name: &str,
    text: &str,
    case: impl FnOnce(&rt_podman::PodmanRuntime, &Sandbox<'_>) -> Outcome,
) -> Outcome {
    let directory = tempfile::tempdir()?;
    let genuine = live.plain(&["info", "--format={{.Host.OCIRuntime.Path}}"])?;
    let program = script(directory.path(), name, &text.replace("GENUINE", genuine.trim()))?;
    let option = format!("--runtime={}", program.display());
    let runtime = live.builder().global_arg(option).exec_path(ExecPath::Auto).build()?;
    let sandbox = Sandbox::launch(&runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    case(&runtime, &sandbox)?;
    runtime.cool_down(&minute())?;
    Ok(())
}

fn lossy_runtime(live: &Live) -> Outcome {
    const LOSSY: &str = r#"
n=$#
while [ $n -gt 0 ]; do
    word=$1; shift; n=$((n - 1))
    case $word in
        --preserve-fds) shift; n=$((n - 1)) ;;
        --preserve-fds=*) ;;
        *) set -- "$@" "$word" ;;
    esac
done
exec GENUINE "$@""#;
    with_oci_runtime(live, "lossy", LOSSY, |runtime, sandbox| {
        // crun 1.8 says nothing; 1.21 and runc, that there is no program at that descriptor.
        let texts = ["ended at once", "exec: No such file or directory", "fd/3: no such file or directory"];
        assert_cold(runtime, sandbox, &texts)
    })
}

fn other_runtime(live: &Live) -> Outcome {
    with_oci_runtime(live, "other", "exec GENUINE \"$@\"", |runtime, sandbox| {
        assert_eq!(count(&*runtime.container(&sandbox.name), "word")?.stdout.text(), "1\n");
        assert_eq!(runtime.warm_up(&sandbox.name, None, &minute())?, Warmth::Warm);
        Ok(())
    })
}
