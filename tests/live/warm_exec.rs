//! What a warm container withstands: agents, supervisors and podman's clients that others kill or
//! stop.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rt_podman::{ColdReason, ExecPath, Warmth};
use rt_process::procfs;
use rt_protocol::{ErrorKind, ExecRequest, ExecResult, ExitOutcome, KillOutcome, Result, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rustix::process::Signal;

use crate::case::{Case, Outcome};
use crate::kills::{BOUND, check_report};
use crate::processes::send;
use crate::sleepers::{fresh_tag, kill_sleepers, sleepers, wait_for_sleepers};
use crate::warm_container::{WarmContainer, is_gone, minute, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("warm: an agent killed from inside leaves its commands, and another takes the next", killed_agent),
    ("warm: the client of an agent killed from outside leaves its commands", killed_client),
    ("warm: a supervisor killed from inside is Lost, and nothing runs on unsaid", killed_supervisor),
    ("warm: a supervisor stopped from inside keeps no deadline", stopped_supervisor),
    ("warm: an agent stopped from inside is replaced, and its command runs once", stopped_agent),
    ("warm: where no agent takes commands, Auto goes cold and remembers why", mute_agents),
    ("warm: a podman that knows no --preserve-fds makes Auto cold at once", refused_descriptors),
];

/// Runs `during` while four commands sleep for `tag`; then these end with 7.
pub(crate) fn with_four_commands(
    warm: &WarmContainer<'_>,
    during: impl FnOnce(u32) -> Outcome,
) -> std::result::Result<Vec<Result<ExecResult>>, crate::case::Problem> {
    let tag = fresh_tag();
    let script = format!("sleep {tag}; echo end; exit 7");
    std::thread::scope(|scope| {
        let calls = [(); 4].map(|()| scope.spawn(|| warm.sh(&script)));
        wait_for_sleepers(tag, 4);
        let done = during(tag);
        kill_sleepers(tag);
        let results = calls.into_iter().map(|call| call.join().expect("no panic")).collect();
        done.map(|()| results)
    })
}

fn assert_ended_as_ever(results: Vec<Result<ExecResult>>) -> Outcome {
    for result in results {
        let result = result?;
        assert_eq!((&result.outcome, result.stdout.text().as_ref()), (&ExitOutcome::Code(7), "end\n"));
    }
    Ok(())
}

fn killed_agent(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    let results = with_four_commands(&warm, |_| {
        let agent = warm.agent();
        warm.signal_inside("KILL", agent)?;
        wait_until("the agent is gone", || is_gone(agent));
        assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
        assert_ne!(warm.agent(), agent);
        Ok(())
    })?;
    assert_ended_as_ever(results)?;
    warm.assert_leaves_nothing()
}

fn killed_client(live: &Live) -> Outcome {
    for signal in [Signal::KILL, Signal::TERM] {
        let warm = WarmContainer::idle(live)?;
        let results = with_four_commands(&warm, |_| {
            let (agent, client) = (warm.agent(), warm.clients()[0]);
            send(client, signal);
            wait_until("the client is gone", || is_gone(client));
            assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
            assert!(warm.agents().iter().any(|other| *other != agent), "{:?}", warm.agents());
            Ok(())
        })?;
        assert_ended_as_ever(results)?;
        warm.assert_leaves_nothing()?;
    }
    Ok(())
}

fn killed_supervisor(live: &Live) -> Outcome {
    for (script, count) in [
        ("exec sleep TAG", 1),
        ("(env -i sleep TAG &); exec sleep TAG", 2),
        ("(setsid env -i sleep TAG &); setsid env -i sleep TAG & exec sleep TAG", 3),
        (
            "(setsid env -i sh -c 'trap \"\" TERM; (setsid sleep TAG &); sleep TAG; sleep TAG' &); exec sleep TAG",
            3,
        ),
    ] {
        let warm = WarmContainer::idle(live)?;
        let tag = fresh_tag();
        let answer = std::thread::scope(|scope| -> std::result::Result<_, crate::case::Problem> {
            let call = scope.spawn(|| warm.sh(&script.replace("TAG", &tag.to_string())));
            wait_for_sleepers(tag, count);
            warm.signal_inside("KILL", warm.supervisors()[0])?;
            Ok(call.join().expect("no panic"))
        })?;
        match answer {
            Ok(result) => {
                assert_eq!(result.outcome, ExitOutcome::Lost, "{script}");
                assert!(sleepers(tag).is_empty(), "{script}: {:?} run on", sleepers(tag));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{script}: {error}");
                check_report(error.kill_report().expect("a report"), tag, script);
            }
        }
        kill_sleepers(tag);
        assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
        warm.assert_leaves_nothing()?;
    }
    Ok(())
}

fn stopped_supervisor(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    let tag = fresh_tag();
    let deadline = warm.sandbox.allow(Duration::from_secs(1))?;
    let script = format!("(setsid env -i sleep {tag} &); sleep {tag} & exec sleep {tag}");
    let request = ExecRequest::new(["sh", "-c", &script])?;
    std::thread::scope(|scope| -> Outcome {
        let begun = Instant::now();
        let call = scope.spawn(|| warm.container.exec(&request, &Until::after(deadline)));
        wait_for_sleepers(tag, 3);
        let supervisor = warm.supervisors()[0];
        warm.signal_inside("STOP", supervisor)?;
        let error = call.join().expect("no panic").unwrap_err();
        assert!(begun.elapsed() < deadline + BOUND, "{:?}", begun.elapsed());
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let report = error.kill_report().expect("a report");
        check_report(report, tag, "a stopped supervisor");
        assert_eq!(report.outcome, KillOutcome::Gone, "{report:?}");
        wait_until("the stopped supervisor is gone", || is_gone(supervisor));
        Ok(())
    })?;
    assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
    warm.assert_leaves_nothing()
}

fn stopped_agent(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    let agent = warm.agent();
    warm.signal_inside("STOP", agent)?;
    wait_until("the agent has stopped", || procfs::is_stopped(agent).unwrap_or(true));
    assert_eq!(warm.sh("echo once >>/tmp/once; cat /tmp/once")?.stdout.text(), "once\n");
    wait_until("the stopped agent is gone", || is_gone(agent));
    assert_ne!(warm.agent(), agent);
    warm.assert_leaves_nothing()
}

/// A program in the place of podman that does `instead` with the starts of agents.
fn with_wrapper<'a>(
    live: &'a Live,
    files: &tempfile::TempDir,
    path: ExecPath,
    instead: &str,
) -> std::result::Result<WarmContainer<'a>, crate::case::Problem> {
    let wrapper = files.path().join("podman");
    let podman = live.podman.display();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--preserve-fds*) echo start >>{}\n{instead};; esac\nexec {podman} \"$@\"\n",
        files.path().join("starts").display()
    );
    fs::write(&wrapper, script)?;
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?;
    let spec = Sandbox::spec(live).command(["sleep", "777777"]);
    Ok(WarmContainer::with_runtime(live, spec, live.builder().exec_path(path).binary(&wrapper))?)
}

fn starts(files: &tempfile::TempDir) -> usize {
    fs::read_to_string(files.path().join("starts")).unwrap_or_default().lines().count()
}

/// Each agent says hello, as the wire format has it (version 1, process 1), and is stopped.
fn mute_agents(live: &Live) -> Outcome {
    // The hello begins with the version of the wire format: of another one, no agent is replaced.
    const MUTE: &str = r#"n=$#
while [ $n -gt 0 ]; do
    word=$1; shift; n=$((n - 1))
    case $word in
        /proc/self/fd/3) set -- "$@" sh -c 'printf "\003\000\000\000\001\000\000\000" >&4; kill -STOP $$; exit' ;;
        *) set -- "$@" "$word" ;;
    esac
done"#;
    for path in [ExecPath::Auto, ExecPath::Warm] {
        let files = tempfile::tempdir()?;
        let warm = with_wrapper(live, &files, path, MUTE)?;
        let reasons = (0..2).map(|time| -> Outcome {
            let answer = warm.sh("echo once >>/tmp/once; cat /tmp/once");
            if path == ExecPath::Auto {
                assert_eq!(answer?.stdout.text(), "once\n".repeat(time + 1));
            } else {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert!(error.to_string().contains("take no commands"), "{error}");
            }
            // The first, and one in its place; the reason is remembered.
            assert_eq!(starts(&files), 2);
            let warmth = warm.runtime.warm_up(&warm.sandbox.name, None, &minute())?;
            let remembered =
                matches!(&warmth, Warmth::Cold(ColdReason::Refused(why)) if why.contains("take no commands"));
            assert!(remembered, "{warmth}");
            Ok(())
        });
        reasons.collect::<std::result::Result<(), _>>()?;
        warm.assert_leaves_nothing()?;
        assert_eq!(warm.inside(&["sh", "-c", "ps -o args | grep -c '[k]ill -STOP' || true"])?, "0\n");
    }
    Ok(())
}

fn refused_descriptors(live: &Live) -> Outcome {
    const REFUSAL: &str = "echo 'Error: unknown flag: --preserve-fds' >&2; exit 125";
    let files = tempfile::tempdir()?;
    let warm = with_wrapper(live, &files, ExecPath::Auto, REFUSAL)?;
    let begun = Instant::now();
    for time in 1..=3 {
        assert_eq!(warm.sh("echo once >>/tmp/once; cat /tmp/once")?.stdout.text(), "once\n".repeat(time));
    }
    let warmth = warm.runtime.warm_up(&warm.sandbox.name, None, &minute())?;
    let remembered =
        matches!(&warmth, Warmth::Cold(ColdReason::Refused(why)) if why.contains("--preserve-fds"));
    assert!(remembered, "{warmth}");
    // A refusal counts for a second, and each further one for twice as long.
    let (starts, elapsed) = (starts(&files), begun.elapsed());
    assert!(starts > 0 && (1 << (starts - 1)) - 1 <= elapsed.as_secs(), "{starts} starts within {elapsed:?}");
    warm.assert_leaves_nothing()
}
