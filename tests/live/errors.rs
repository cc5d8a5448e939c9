//! Every failure has a kind of its own, and a text that names the operation, the container and the
//! hint.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rt_podman::PodmanRuntime;
use rt_protocol::{
    ContainerExt, ContainerFilter, ContainerName, ContainerPath, ContainerRuntime, ContainerRuntimeExt,
    CopyOptions, Error, ErrorKind, ExecRequest, ExitOutcome, LaunchSpec, NamePrefix, PullPolicy, TimeLimits,
    Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("errors: podman missing, not executable and hanging are three", engine),
    ("errors: a failing podman is never an empty list", failing_engine),
    ("errors: no such container, for every verb", no_such_container),
    ("errors: a container that does not run", not_running),
    ("errors: a container that has ended says its exit code and its last lines", ended),
    ("errors: a podman that only says so has neither started nor stopped anything", empty_words),
    ("errors: command, executable, workdir and user", bad_commands),
    ("errors: a name that is taken, an image that is not here", bad_launches),
    ("errors: a failed start leaves nothing under the name", failed_start),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

/// The text names what was done, to whom, and what to do about it.
fn check_text(error: &Error, subject: &str) {
    let text = error.to_string();
    assert!(text.starts_with(error.operation()), "{text}");
    assert!(text.contains(subject), "{text}");
    assert!(error.hint().is_some_and(|hint| text.contains(hint)), "{text}");
}

/// A program in place of podman.
fn stand_in(directory: &tempfile::TempDir, script: &str, mode: u32) -> Result<PathBuf, std::io::Error> {
    let path = directory.path().join("podman");
    fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(path)
}

fn engine(_: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let missing = PodmanRuntime::builder().binary(directory.path().join("podman")).build().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::BackendMissing, "{missing}");
    let missing = PodmanRuntime::builder().binary("rt-no-such-podman").build().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::BackendMissing, "{missing}");
    assert!(missing.hint().is_some_and(|hint| hint.contains("install")), "{missing}");

    let path = stand_in(&directory, "exit 0", 0o644)?;
    let refused = PodmanRuntime::builder().binary(&path).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BackendNotExecutable, "{refused}");

    let path = stand_in(&directory, "sleep 1000 & wait", 0o755)?;
    let mut limits = TimeLimits::DEFAULT;
    limits.read = Duration::from_millis(300);
    let hanging = PodmanRuntime::builder().binary(&path).limits(limits).build()?;
    let error = hanging.container(&ContainerName::new("web")?).state(Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendUnresponsive, "{error}");
    check_text(&error, "`web`");
    let error = hanging.list(&ContainerFilter::all(), &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendUnresponsive, "{error}");
    Ok(())
}

fn failing_engine(_: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    for script in ["echo 'Error: database is locked' >&2; exit 125", "kill -9 $$", "echo '[{'", "exit 1"] {
        let path = stand_in(&directory, script, 0o755)?;
        let runtime = PodmanRuntime::builder().binary(&path).build()?;
        let prefix = NamePrefix::new("p")?;
        assert!(runtime.list(&ContainerFilter::all(), &Until::forever()).is_err(), "{script}");
        assert!(runtime.states(&prefix, Until::forever()).is_err(), "{script}");
        assert!(runtime.containers_with_prefix(&prefix, Until::forever()).is_err(), "{script}");
        assert!(
            runtime.container(&ContainerName::new("web")?).inspect(&Until::forever()).is_err(),
            "{script}"
        );
        let results = runtime.force_remove(&[ContainerName::new("web")?], &until());
        assert!(
            results.len() == 1 && !results[0].removed && results[0].error.is_some(),
            "{script}: {results:?}"
        );
    }
    Ok(())
}

fn no_such_container(live: &Live) -> Outcome {
    let absent = live.runtime.container(&ContainerName::new("rtt-absent")?);
    let kind = |error: Error| {
        check_text(&error, "`rtt-absent`");
        error.kind()
    };
    assert_eq!(absent.inspect(&Until::forever())?, None);
    assert_eq!(absent.state(Until::forever())?, None);
    assert!(!absent.running(Until::forever())?);
    let wanted = ErrorKind::NoSuchContainer;
    assert_eq!(kind(absent.exec(&ExecRequest::new(["true"])?, &until()).unwrap_err()), wanted);
    assert_eq!(kind(absent.start(&until()).unwrap_err()), wanted);
    assert_eq!(kind(absent.stop(Duration::ZERO, &until()).unwrap_err()), wanted);
    assert_eq!(kind(absent.wait(&until()).unwrap_err()), wanted);
    let place = ContainerPath::new("/tmp/x")?;
    let copied = absent.copy_in("/etc/hostname".as_ref(), &place, &CopyOptions::new(), &until());
    assert_eq!(kind(copied.unwrap_err()), wanted);
    let mut log = absent.logs(&rt_protocol::LogOptions::new(), &Until::forever())?;
    assert_eq!(kind(log.pull(&until()).unwrap_err()), wanted);
    Ok(())
}

fn not_running(live: &Live) -> Outcome {
    let sandbox = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let error = sandbox.sh("true").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
    check_text(&error, sandbox.name.as_str());
    assert!(error.never_started());
    Ok(())
}

fn ended(live: &Live) -> Outcome {
    let spec = Sandbox::spec(live).command(["sh", "-c", "echo one; echo two >&2; exit 7"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    assert_eq!(sandbox.container.wait(&until())?, ExitOutcome::Code(7));
    let error = sandbox.sh("true").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
    check_text(&error, sandbox.name.as_str());
    for part in ["exit code 7", "\"one\"", "\"two\""] {
        assert!(error.message().contains(part), "{error}");
    }
    Ok(())
}

fn empty_words(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let script = "for word; do last=$word; case $word in start|stop) verb=$word; esac; done\n\
                  [ -z \"$verb\" ] || { echo \"$last\"; exit 0; }";
    let path = stand_in(&directory, &format!("{script}\nexec {} \"$@\"", live.podman.display()), 0o755)?;
    let liar = PodmanRuntime::builder().binary(&path).build()?;
    let resting = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let error = liar.container(&resting.name).start(&until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    assert!(error.message().ends_with("its state is created"), "{error}");
    check_text(&error, resting.name.as_str());

    let sandbox = Sandbox::idle(live)?;
    let container = liar.container(&sandbox.name);
    // With and without what an exec has let the host know.
    for _ in 0..2 {
        let error = container.stop(Duration::ZERO, &until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
        assert!(error.message().ends_with("its state is running"), "{error}");
        check_text(&error, sandbox.name.as_str());
        assert!(container.exec(&ExecRequest::new(["true"])?, &until())?.success());
    }
    Ok(())
}

fn bad_commands(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let run = |request: rt_protocol::Result<ExecRequest>| sandbox.container.exec(&request?, &until());
    for (request, kind) in [
        (ExecRequest::builder(["nosuchcommand"]), ErrorKind::CommandNotFound),
        (ExecRequest::builder(["/no/such/command"]), ErrorKind::CommandNotFound),
        (ExecRequest::builder(["chdir `x` to"]), ErrorKind::CommandNotFound),
        (ExecRequest::builder(["/etc/passwd"]), ErrorKind::CommandNotExecutable),
        (ExecRequest::builder(["/etc"]), ErrorKind::CommandNotExecutable),
        (ExecRequest::builder(["true"]).workdir("/no/such/dir"), ErrorKind::BadWorkdir),
        (ExecRequest::builder(["true"]).user("nosuchuser"), ErrorKind::UnknownUser),
    ] {
        let error = run(request.clone().build()).unwrap_err();
        assert_eq!(error.kind(), kind, "{request:?}: {error}");
        check_text(&error, sandbox.name.as_str());
        assert!(error.never_started());
    }
    // Eight at once: the event log alone cannot tell whose command it was then.
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn(move || {
                    if number % 2 == 0 {
                        let error = run(ExecRequest::builder(["nosuchcommand"]).build())
                            .expect_err("no such command");
                        assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
                    } else {
                        let result =
                            run(ExecRequest::builder(["sh", "-c", "exit 127"]).build()).expect("a result");
                        assert_eq!(result.outcome, ExitOutcome::Code(127));
                    }
                })
            })
            .collect();
        for call in calls {
            call.join().expect("no panic");
        }
    });
    Ok(())
}

fn bad_launches(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let again = LaunchSpec::builder(sandbox.name.as_str(), live.image.as_str()).build()?;
    let error = live.runtime.create(&again, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NameInUse, "{error}");
    check_text(&error, sandbox.name.as_str());
    let unknown = LaunchSpec::builder(Sandbox::fresh_name(), "localhost/rt-no-such-image")
        .pull(PullPolicy::Never)
        .build()?;
    let error = live.runtime.create(&unknown, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchImage, "{error}");
    Ok(())
}

fn failed_start(live: &Live) -> Outcome {
    use rt_protocol::ContainerRuntimeExt;

    let spec = Sandbox::spec(live).command(["nosuchcommand"]).build()?;
    let error = live.runtime.launch(&spec, until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
    assert_eq!(live.runtime.container(spec.name()).state(Until::forever())?, None);
    Ok(())
}
