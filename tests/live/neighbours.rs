//! Other programs use the same podman and the same containers: nothing is taken from them, and
//! nothing of theirs is taken for ours.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rt_podman::{KillStrategy, PodmanRuntime};
use rt_protocol::{
    Container, ContainerExt, ContainerRuntime, ContainerState, ErrorKind, ExecRequest, ExecStdio,
    ExitOutcome, KillOutcome, OutputLimit, Sink, Source, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use tempfile::TempDir;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("neighbours: a create that is stopped leaves the container of another alone", another_creates),
    ("neighbours: a create that is stopped leaves nothing of its own", own_create),
    ("neighbours: a start that is stopped leaves a container that can be started", stopped_start),
    ("neighbours: a missing command is one, whoever else runs commands", another_execs),
    ("neighbours: what is kept of stderr hides no failure of podman's", little_stderr),
    ("neighbours: a line of the caller's own is no error of podman's", own_lines),
    ("neighbours: no byte of stdin is an order to leave the command", detach_keys),
    ("neighbours: a command of another user is ended from inside", other_user),
    ("neighbours: the longest grace period is no short one", longest_grace),
    ("neighbours: a limit holds for a name that has to be looked up", looked_up),
    ("neighbours: a call that is stopped before its command says so", not_started),
];

fn minute() -> Until {
    Until::after(Duration::from_secs(60))
}

/// A runtime whose podman sleeps before one of its verbs.
fn slow(live: &Live, verb: &str, pause: u32) -> Result<(TempDir, PodmanRuntime), crate::case::Problem> {
    let directory = TempDir::new()?;
    let path: PathBuf = directory.path().join("podman");
    let script = format!(
        "#!/bin/sh\nfor word; do [ \"$word\" != {verb} ] || {{ sleep {pause}; break; }}; done\nexec '{}' \"$@\"\n",
        live.podman.display()
    );
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let runtime = PodmanRuntime::builder().binary(&path).build()?;
    Ok((directory, runtime))
}

fn another_creates(live: &Live) -> Outcome {
    let (_directory, slow) = slow(live, "create", 60)?;
    let spec = Sandbox::spec(live).command(["sleep", "777777"]);
    let same = spec.clone().build()?;
    let (sandbox, stopped) = std::thread::scope(|scope| {
        let stopped = scope.spawn(|| slow.create(&same, &Until::after(Duration::from_secs(4))).err());
        // While the other one is on its way.
        let _ = minute().sleep(Duration::from_secs(1));
        (Sandbox::launch(&live.runtime, spec), stopped.join().expect("no panic"))
    });
    let sandbox = sandbox?;
    assert_eq!(stopped.ok_or("it was made")?.kind(), ErrorKind::TimedOut);
    assert_eq!(sandbox.container.state(Until::forever())?, Some(ContainerState::Running));
    Ok(())
}

fn own_create(live: &Live) -> Outcome {
    // From before it is made to after it is.
    for milliseconds in (20..400).step_by(20) {
        let spec = Sandbox::spec(live).command(["sleep", "777777"]).build()?;
        match live.runtime.create(&spec, &Until::after(Duration::from_millis(milliseconds))) {
            Ok(container) => {
                let _ = live.runtime.force_remove(&[container.key().name.clone()], &minute());
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                assert_eq!(
                    live.runtime.container(spec.name()).state(Until::forever())?,
                    None,
                    "after {milliseconds} ms"
                );
            }
        }
    }
    Ok(())
}

fn stopped_start(live: &Live) -> Outcome {
    let sandbox = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    for milliseconds in (20..400).step_by(20) {
        let started = sandbox.container.start(&Until::after(Duration::from_millis(milliseconds)));
        if let Err(error) = started {
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            let state = sandbox.container.state(Until::forever())?;
            assert_ne!(state, Some(ContainerState::Initialized), "after {milliseconds} ms");
            sandbox.container.start(&minute()).map_err(|error| format!("{milliseconds} ms: {error}"))?;
        }
        assert_eq!(sandbox.container.state(Until::forever())?, Some(ContainerState::Running));
        sandbox.container.stop(Duration::ZERO, &minute())?;
    }
    Ok(())
}

fn another_execs(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let other = live.builder().build()?.container(&sandbox.name);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            let request = ExecRequest::new(["true"])?;
            while !over.load(Ordering::Relaxed) {
                other.exec(&request, &minute())?.exit_ok()?;
            }
            Ok::<_, crate::case::Problem>(())
        });
        let outcome = (|| {
            for _ in 0..12 {
                let request = ExecRequest::new(["rt-no-such-command"])?;
                let error = match sandbox.container.exec(&request, &minute()) {
                    Err(error) => error,
                    Ok(result) => return Err(format!("it ran: {}", result.outcome).into()),
                };
                assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
                let result = sandbox.sh("exit 127")?;
                assert_eq!(result.outcome, ExitOutcome::Code(127));
            }
            Ok::<_, crate::case::Problem>(())
        })();
        over.store(true, Ordering::Relaxed);
        neighbour.join().expect("no panic")?;
        outcome
    })
}

fn little_stderr(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    for limit in [OutputLimit::bytes(0), OutputLimit::bytes(10), OutputLimit::head_and_tail(40, 0)] {
        let kind = |request: rt_protocol::ExecRequestBuilder| {
            let request = request.output_limit(limit).build()?;
            Ok::<_, crate::case::Problem>(sandbox.container.exec(&request, &minute()).unwrap_err().kind())
        };
        assert_eq!(kind(ExecRequest::builder(["rt-no-such-command"]))?, ErrorKind::CommandNotFound);
        assert_eq!(kind(ExecRequest::builder(["/etc"]))?, ErrorKind::CommandNotExecutable);
        assert_eq!(kind(ExecRequest::builder(["true"]).workdir("/nosuch"))?, ErrorKind::BadWorkdir);
        assert_eq!(kind(ExecRequest::builder(["true"]).user("nosuch"))?, ErrorKind::UnknownUser);
        let request = ExecRequest::builder(["sh", "-c", "seq 20000 >&2"]).output_limit(limit).build()?;
        let stderr = sandbox.container.exec(&request, &minute())?.stderr;
        assert_eq!((stderr.head().len(), stderr.tail().len()), (limit.head(), limit.tail()));
        assert_eq!(stderr.total(), 108_894);
    }
    Ok(())
}

fn own_lines(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    for words in ["no such container", "container state improper", "chdir to", "unable to find user"] {
        let request = ExecRequest::new([format!("x\nError: {words}")])?;
        let error = sandbox.container.exec(&request, &minute()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{words}: {error}");
        let request = ExecRequest::builder(["true"]).workdir(format!("/x\nError: {words}")).build()?;
        let error = sandbox.container.exec(&request, &minute()).unwrap_err();
        // Of crun's text only what stands behind the newline comes; which of the two paths is
        // missing it does not say.
        let missing = [ErrorKind::BadWorkdir, ErrorKind::CommandNotFound];
        assert!(missing.contains(&error.kind()), "{words}: {error}");
    }
    Ok(())
}

/// What a person would type to leave a container, bit by bit.
struct Typed(Vec<&'static [u8]>);

impl Read for Typed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let _ = minute().sleep(Duration::from_millis(300));
        let mut rest = buffer;
        rest.write(self.0.remove(0))
    }
}

fn detach_keys(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let mut stdout = Vec::new();
    let typed = Typed(vec![b"before\n", b"\x10", b"\x11", b"after\n"]);
    let stdio = ExecStdio::new(Source::reader(typed), Sink::borrowed(&mut stdout));
    let result = sandbox.container.exec_stdio(&ExecRequest::new(["cat"])?, stdio, &minute())?;
    assert_eq!(result.outcome, ExitOutcome::Code(0));
    assert_eq!(stdout, b"before\n\x10\x11after\n");
    Ok(())
}

fn other_user(live: &Live) -> Outcome {
    let runtime = live.builder().kill_strategy(KillStrategy::InContainer).build()?;
    for user in ["root", "1000"] {
        let sandbox = Sandbox::launch(&runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
        let request = ExecRequest::builder(["sleep", "1000"]).user(user).build()?;
        let until = Until::after(sandbox.allow(Duration::from_secs(1))?);
        let error = sandbox.container.exec(&request, &until).unwrap_err();
        let report = error.kill_report().ok_or("no report")?;
        assert_eq!((&report.outcome, report.killed), (&KillOutcome::Gone, 1), "{user}: {report:?}");
        assert_eq!(sandbox.count_processes("sleep 1000")?, 0, "{user}");
    }
    Ok(())
}

fn longest_grace(live: &Live) -> Outcome {
    let command = ["sh", "-c", "trap 'sleep 1; exit 7' TERM; while :; do sleep 0.1; done"];
    for grace in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(10_000_000_000)] {
        let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(command))?;
        // Until the trap is set.
        let _ = minute().sleep(Duration::from_millis(500));
        sandbox.container.stop(grace, &minute())?;
        assert_eq!(sandbox.container.wait(&minute())?, ExitOutcome::Code(7), "{grace:?}");
    }
    Ok(())
}

fn looked_up(live: &Live) -> Outcome {
    let (_directory, slow) = slow(live, "ps", 20)?;
    // podman could take it for the beginning of an id.
    let container = slow.container(&rt_protocol::ContainerName::new("cafe")?);
    let until = || Until::after(Duration::from_millis(500));
    let begun = std::time::Instant::now();
    for error in [
        container.exec(&ExecRequest::new(["true"])?, &until()).err(),
        container.stop(Duration::ZERO, &until()).err(),
        container.start(&until()).err(),
        container.wait(&until()).err(),
    ] {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::TimedOut));
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    Ok(())
}

fn not_started(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let (_directory, slow) = slow(live, "inspect", 20)?;
    let container = slow.container(&sandbox.name);
    let until = Until::after(Duration::from_millis(300));
    let error = container.exec(&ExecRequest::new(["true"])?, &until).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.never_started() && error.kill_report().is_some() && error.partial().is_some(), "{error:?}");
    Ok(())
}
